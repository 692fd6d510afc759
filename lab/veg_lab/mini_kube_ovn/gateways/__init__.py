"""Kube-OVN's own egress gateways, as its versions from 1.14 on have them. The product under test is another one.

What may NOT live here: anything of the services, or that repairs what somebody else changes. Kube-OVN does not.
"""
