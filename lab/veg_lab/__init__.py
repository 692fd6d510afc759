"""The lab: a whole cluster on one machine, for the demo, the end-to-end tests and debugging.

It starts the real parts (etcd, Kubernetes, containerd, OVN, Open vSwitch, NATS, Postgres) and our services in network
namespaces of its own. `nodes` are its nodes; `mini_kube_ovn` stands in for Kube-OVN, and `cni` for what that does on a
node and for Multus.
May NOT live here: anything a shipped service needs, and anything that touches the machine's own network or services.
"""
