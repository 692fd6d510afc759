"""The lab: a whole cluster on one machine, for the demo, the end-to-end tests and debugging.

It starts the real parts (etcd, Kubernetes' control plane, OVN, Open vSwitch, NATS, Postgres) and our services in
network namespaces of its own, and stands in for kubelet, CNI and Kube-OVN in the sub-packages `node_agent` and
`mini_kube_ovn`.
May NOT live here: anything a shipped service needs, and anything that touches the machine's own network or services.
"""
