"""The agent inside each gateway pod: it keeps NAT and routes of its pod as the gateway's config says.

`config`, `nat`, `routes` and `state` are pure: values in, values out. Only `privileged` touches the kernel.
No decision about the gateway may live here: which sources, which routes and which generation come from the planner.
Nothing here may make traffic depend on the bus, on the planner, or on this process being alive.
"""
