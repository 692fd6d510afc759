"""Everything that reads or writes the pod's kernel: sysctls, netfilter, routes. Needs NET_ADMIN and NET_RAW.

The only package that runs tools or speaks netlink. No decision may live here: callers say exactly what to change.
"""
