"""NATS: the streams, what comes in, and the relay of the outbox.

No decision lives here, and no statement to Postgres.
"""
