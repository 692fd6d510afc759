"""The vocabulary that every service shares: objects, events, commands, intents, names and subjects.

Only values and pure functions live here. No I/O, no clock, no randomness, and no import of a library that does any of
it (NATS, Kubernetes, OVSDB, netlink, SQL, asyncio, logging): `lint-imports` checks that.
"""
