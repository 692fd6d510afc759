"""Postgres: the log, the world, what was decided, the outbox, and the lease of the planner that leads.

Statements and transactions live here, and nothing else does: no decision, no bus, no asyncio.
"""
