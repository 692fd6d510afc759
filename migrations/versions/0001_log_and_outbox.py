"""The log, what was decided from it, and the outbox.

Revision 0001, the first one.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
create table event (
    position        bigint primary key,
    id              text not null unique,
    type            text not null,
    source          text not null,
    subject         text not null,
    time            timestamptz not null,
    correlation_id  text not null default '',
    causation_id    text not null default '',
    traceparent     text not null default '',
    data            jsonb not null,
    decided         boolean not null default true,
    recorded_at     timestamptz not null default clock_timestamp(),
    -- The gateway that the event itself names. An index row has at most 2704 bytes, and a writer's event may name anything.
    gateway         text generated always as (left(
        case
            when data ? 'gateway' then data ->> 'gateway'
            when data -> 'object' ->> 'kind' = 'VpcEgressGateway'
                then coalesce(data -> 'object' ->> 'namespace', '') || '/' || (data -> 'object' ->> 'name')
            when data ->> 'kind' = 'VpcEgressGateway' and data ? 'name'
                then coalesce(data ->> 'namespace', '') || '/' || (data ->> 'name')
        end, 400)) stored
);
create index event_correlation on event (correlation_id) where correlation_id <> '';
create index event_causation on event (causation_id) where causation_id <> '';
create index event_type_time on event (type, time);
create index event_gateway on event (gateway, position) where gateway is not null;
comment on table event is 'The log: all facts in one total order, without gaps. Append only.';
comment on column event.decided is 'False: deciding on it failed (see rejected); a replay leaves it out too.';
comment on column event.time is 'When its source says it happened; recorded_at is when it came into the log.';

create table object (
    kind      text not null,
    key       text not null,
    position  bigint not null references event,
    data      jsonb not null,
    primary key (kind, key)
);
comment on table object is 'The world: the fold of all events up to the last position. Can be made again from the log.';

create table intent (
    gateway_uid  text not null,
    generation   bigint not null,
    gateway      text not null,
    parent       bigint not null,
    position     bigint not null references event,
    data         jsonb not null,
    digest       text not null,
    primary key (gateway_uid, generation)
);
create index intent_gateway on intent (gateway, position);
create index intent_position on intent (position);
comment on table intent is 'What a gateway should look like everywhere, generation by generation. Append only.';

create table report (
    gateway     text not null,
    position    bigint not null references event,
    generation  bigint not null,
    data        jsonb not null,
    primary key (gateway, position)
);
create index report_position on report (position);
comment on table report is 'Why an intent is what it is, and what it waits for. Append only.';

create table command (
    id              text primary key,
    position        bigint not null references event,
    ordinal         integer not null,
    gateway         text not null,
    gateway_uid     text not null,
    generation      bigint not null,
    subject         text not null,
    type            text not null,
    data            jsonb not null,
    digest          text not null,
    time            timestamptz not null,
    correlation_id  text not null default '',
    causation_id    text not null default '',
    traceparent     text not null default '',
    relayed_at      timestamptz,
    note            text not null default '',
    unique (position, ordinal)
);
create index command_to_relay on command (position, ordinal) where relayed_at is null;
create index command_gateway on command (gateway, position);
create index command_correlation on command (correlation_id) where correlation_id <> '';
create index command_causation on command (causation_id) where causation_id <> '';
comment on table command is 'The outbox: every order there ever was; relayed_at is when the bus had it.';
comment on column command.note is 'Why a command was never sent, empty for all that were.';

create table lease (
    name        text primary key,
    holder      text not null,
    fence       bigint not null,
    expires_at  timestamptz not null
);
comment on table lease is 'Who leads. The fence grows with each new leader; a transaction of an older one is refused.';

create table rejected (
    id           bigint generated always as identity primary key,
    subject      text not null,
    reason       text not null,
    size         integer not null,
    head         text not null,
    recorded_at  timestamptz not null default clock_timestamp()
);
comment on table rejected is 'Messages that could not be read, and events that could not be decided. The last 10000.';
"""

_APPEND_ONLY = """
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused', tg_table_name, tg_op using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete or truncate on event
    for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on intent
    for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on report
    for each statement execute function refuse_change();
create trigger append_only before delete or truncate on command
    for each statement execute function refuse_change();
"""

# One row for each thing that happened, in order. An event that names no gateway, or another one, appears once more for
# each gateway whose intent it changed; `via` marks those rows, so that a query over all gateways can leave them out.
_STORY = """
create view story as
    select position, 0 as rank, 0 as ordinal,
           case when type like 'veg.writer.%' or type like 'veg.agent.config-%' or type = 'veg.ovn.rows-programmed.v1'
                then 'outcome' else 'event' end as what,
           type, id, gateway, (data ->> 'generation')::numeric as generation, time, recorded_at,
           correlation_id, causation_id, data, false as via
      from event
    union all
    select e.position, 0, 0, 'event', e.type, e.id, i.gateway, null, e.time, e.recorded_at,
           e.correlation_id, e.causation_id, e.data, true
      from intent i join event e using (position) where e.gateway is distinct from i.gateway
    union all
    select i.position, 1, 0, 'intent', 'intent', i.gateway_uid || '/' || i.generation, i.gateway, i.generation, e.recorded_at,
           e.recorded_at, coalesce(nullif(e.correlation_id, ''), e.id), e.id, i.data, false
      from intent i join event e using (position)
    union all
    select r.position, 2, 0, 'report', 'report', r.gateway || '@' || r.position, r.gateway, r.generation, e.recorded_at,
           e.recorded_at, coalesce(nullif(e.correlation_id, ''), e.id), e.id, r.data, false
      from report r join event e using (position)
    union all
    select position, 3, ordinal, 'command', type, id, gateway, generation, time, relayed_at,
           correlation_id, causation_id, data, false
      from command;
comment on view story is 'Events, intents, reports, commands and outcomes in order: order by position, rank, ordinal.';
"""

# What a user did to a gateway: the events with a new generation of its object (a change of the spec, or its deletion).
# All that follows, until the next one, has positions from `position` to below `until`.
_APPLY = """
create view apply as
    select position, id, gateway, generation, deleting, time, recorded_at,
           lead(position, 1, 9223372036854775807) over (partition by gateway order by position) as until
      from (select *, lag(uid || '/' || generation || deleting) over (partition by gateway order by position) as before
              from (select position, id, gateway, time, recorded_at, data ->> 'uid' as uid,
                           data -> 'object' ->> 'generation' as generation,
                           coalesce((data -> 'object' ->> 'deleting')::boolean, false) as deleting
                      from event
                     where type = 'veg.k8s.object-changed.v1' and data -> 'object' ->> 'kind' = 'VpcEgressGateway'
                   ) version
           ) version
     where before is distinct from uid || '/' || generation || deleting;
comment on view apply is 'Each change of a gateway by its user, and the positions of what followed: position <= p < until.';
"""

_GRANTS = """
do $$ begin
    if exists (select from pg_roles where rolname = 'veg_planner') then
        grant select, insert on event, intent, report to veg_planner;
        grant select, insert, update, delete on object to veg_planner;
        grant select, insert on command to veg_planner;
        grant update (relayed_at, note) on command to veg_planner;
        grant select, insert, update on lease to veg_planner;
        grant select, insert, delete on rejected to veg_planner;
        grant select on story, apply to veg_planner;
    end if;
    if exists (select from pg_roles where rolname = 'veg_reader') then
        grant select on event, object, intent, report, command, lease, rejected, story, apply to veg_reader;
    end if;
end $$;
"""


def upgrade() -> None:
    for script in (_TABLES, _APPEND_ONLY, _STORY, _APPLY, _GRANTS):
        op.execute(script)


def downgrade() -> None:
    op.execute("drop view story, apply")
    op.execute("drop table event, object, intent, report, command, lease, rejected cascade")
    op.execute("drop function refuse_change")
