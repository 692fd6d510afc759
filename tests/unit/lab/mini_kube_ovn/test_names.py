from veg_lab.mini_kube_ovn import names


def test_names_are_those_of_kube_ovn() -> None:
    assert names.subnet_node_port_group("ovn-default", "kube-ovn-worker") == "ovn.default.kube.ovn.worker"
    assert names.node_port_group("kube-ovn-worker") == "node.kube.ovn.worker"
    assert names.pod_port("default", "client") == "client.default"
    assert names.router_port("ovn-cluster", "ovn-default") == "ovn-cluster-ovn-default"
    assert names.annotation("eth1.default", "ip_pool") == "eth1.default.kubernetes.io/ip_pool"
