from veg_lab.mini_kube_ovn.chassis import free_tunnel_end, without_process


def test_the_first_node_has_the_chassis_of_the_lab_and_the_others_one_without_a_process() -> None:
    nodes = ["kube-ovn-worker2", "kube-ovn-control-plane", "kube-ovn-worker"]
    assert without_process(nodes) == ["kube-ovn-worker", "kube-ovn-worker2"]


def test_no_two_chassis_tunnel_from_one_address() -> None:
    assert free_tunnel_end({"127.0.0.1"}) == "127.0.0.2"
    assert free_tunnel_end({"127.0.0.1", "127.0.0.2", "127.0.0.4"}) == "127.0.0.3"
