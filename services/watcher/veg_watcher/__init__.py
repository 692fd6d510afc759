"""The watcher: turns what happens in Kubernetes into events on the bus. It decides nothing and writes to no cluster.

`kinds`, `fields`, `project` and `observe` are pure: no I/O, clock, asyncio or logging. The shell around them is `api`
(HTTP), `lister` and `watch` (what the API server says), `publish` (what the bus is told), `follow` (the life of one
kind) and `main`.
"""
