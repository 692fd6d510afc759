"""What the store says was decided, for a comparison with a replay."""

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

import sqlalchemy as sa

from veg_planner.replay import Decided

_QUERY = sa.text("""
    select position, 0 as rank, 0 as ordinal,
           ('intent/' || gateway_uid || '/' || lpad(generation::text, 20, '0')) collate "C" as name, digest
      from intent where position <= :until
    union all
    select position, 1, ordinal, id collate "C", digest from command where position <= :until
    order by position, rank, ordinal, name
""")


def decided(connection: sa.Connection, until: int) -> Iterator[tuple[int, list[Decided]]]:
    """Position by position, in order; positions at which nothing was decided are left out."""
    rows = connection.execute(_QUERY.execution_options(yield_per=1000), {"until": until})
    everything = (Decided(position=row.position, name=row.name, digest=row.digest) for row in rows)
    for position, group in groupby(everything, key=attrgetter("position")):
        yield position, list(group)


def data_of(connection: sa.Connection, name: str) -> str:
    """The stored JSON of the intent or command of that name; empty when there is none."""
    query = sa.text("""
        select data::text from intent where 'intent/' || gateway_uid || '/' || lpad(generation::text, 20, '0') = :name
        union all select jsonb_build_object('subject', subject, 'type', type, 'data', data)::text
                    from command where id = :name
    """)
    return connection.execute(query, {"name": name}).scalars().first() or ""
