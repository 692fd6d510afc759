"""The BFD speaker of a gateway pod: RFC 5880 asynchronous mode, encapsulated as RFC 5881 has it.

A process of its own that needs nothing but its config file: no bus, no planner, and nothing outside Python's standard
library, so that it stays small and goes on whatever else fails. `packet` and `session` are pure; `speaker` holds the
sessions, `daemon` the sockets, the file and the clock. Nothing of ours may be imported here.
"""
