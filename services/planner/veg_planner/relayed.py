"""What the relay tells the outbox. A value of its own, so that bus and store need not know each other."""

import msgspec


class Relayed(msgspec.Struct, frozen=True, kw_only=True):
    """A command that is done with since `at`: it is on the bus, or `note` says why it never will be."""

    id: str
    at: str
    note: str = ""
