"""What a kind of row must tell about itself, so that reading, comparing and writing need not know it."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar
from uuid import UUID

from veg_contracts.names import OWNER_KEY

ValueT = TypeVar("ValueT")
Columns: TypeAlias = Mapping[str, Any]  # an integer, a string, a sorted tuple of strings (a set), or a dict (a map)

EXTERNAL_IDS = "external_ids"
ROUTER = "Logical_Router"
PORT = "Logical_Switch_Port"


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row as the database holds it: the table's `columns`, and the names of the routers it hangs on, sorted.

    A row of a root table hangs on none.
    """

    uuid: UUID
    columns: Columns
    routers: tuple[str, ...]

    @property
    def owner(self) -> str:
        owner: str = self.columns[EXTERNAL_IDS].get(OWNER_KEY, "")
        return owner


class Table(ABC, Generic[ValueT]):
    """A table of the Northbound database.

    `field` is where its values stand in `NbRows`; `parent_column` the column of Logical_Router that refers to its rows,
    empty for a root table, whose rows hang on nothing.
    """

    name: ClassVar[str]
    field: ClassVar[str]
    parent_column: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]  # all that we compare and write, external_ids among them
    optional_columns: ClassVar[frozenset[str]] = frozenset()  # those of them, all sets, that an older OVN may lack
    references: ClassVar[frozenset[str]] = frozenset()  # those of them that refer to BFD rows: values name the peers
    watched_columns: ClassVar[tuple[str, ...]] = ()  # read, and neither compared nor written

    @abstractmethod
    def canonical(self, value: ValueT) -> ValueT:
        """The one form of all values that mean the same row, such as sorted sets."""

    def without(self, value: ValueT, lacking: frozenset[str]) -> ValueT:  # noqa: ARG002  # most tables lack nothing
        """The value as far as a schema can hold it that lacks these of the `optional_columns`."""
        return value

    @abstractmethod
    def sort_key(self, value: ValueT) -> tuple[Any, ...]:
        """A total order of values."""

    @abstractmethod
    def identity(self, value: ValueT) -> Hashable:
        """What stays the same when a row is updated; a router has at most one wanted row of an identity."""

    @abstractmethod
    def to_columns(self, gateway: str, value: ValueT) -> Columns:
        """The row that a gateway's value asks for, with its owner's external_ids."""

    @abstractmethod
    def from_columns(self, columns: Columns) -> ValueT:
        """The value of a row that is there, whatever somebody else may have made of it."""
