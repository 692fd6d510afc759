"""The planner: the only service that decides.

`core.step` folds one event into the world, plans the gateways it touches and says which commands that takes. All of
`core`, `world`, `fold`, `plan`, `diff` and `invariants` is pure: no I/O, clock, randomness, asyncio or logging.
The shell around it is `store` (Postgres), `bus` (NATS) and `main`.
"""
