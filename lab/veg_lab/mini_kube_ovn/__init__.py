"""A small stand-in for kube-ovn-controller: VPCs, subnets, address management and the default VPC's policies.

It writes to Kubernetes and to OVN what Kube-OVN writes, so that the services under test cannot tell the difference.
What each version does differently is in `behaviours`; egress gateways of Kube-OVN's own are in `gateways`.
What may NOT live here: anything about the gateways under test, and anything that the services import.
"""
