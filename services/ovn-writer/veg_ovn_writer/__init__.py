"""Ensures the rows of gateways in the OVN Northbound database, and tells when they are there, programmed, or changed.

One command is one transaction. What a row should be stands in the command: no default, no choice and no allocation may
live here, and neither Kubernetes nor Postgres. `rows`, `differ`, `confirm`, `chassis`, `chassis_watch`, `drift`,
`roster` and `tables` are values and functions of values; only `nb` and what it runs in its thread (`snapshot`, `apply`,
`groups`, `portless`, `probe`) touch the Northbound database, and only `southbound` reads the other one.
"""
