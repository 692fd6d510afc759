"""`vegctl`: looks at gateways, intents and the event log, and replays the log.

It reads Postgres and nothing else. What changes anything may not live here.
"""
