"""`vegctl preflight`: what is this cluster, which settings follow from that, and what will not work.

`gather` looks and writes nothing; `command` is the command line. Everything else is a function of `facts`, without I/O.
"""
