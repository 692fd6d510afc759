"""The API group of the gateways is a setting: the other group may be there as well, and is not looked at."""

from collections.abc import Callable

from functional.control_plane import ControlPlane
from functional.servers import Service, wait_for
from functional.watcher.bus import Bus
from functional.watcher.conftest import BY_NAME, Watcher, crd, grant

from veg_contracts.names import KUBE_OVN_GROUP, OWN_GROUP
from veg_contracts.objects import EgressGateway
from veg_watcher.kinds import kinds


def test_only_gateways_of_the_chosen_group_are_told(
    cluster: ControlPlane, bus: Bus, make_watcher: Callable[..., Watcher]
) -> None:
    (own,) = (kind for kind in kinds(OWN_GROUP) if kind.name == EgressGateway.KIND)
    cluster.install(crd(own))
    grant(cluster, OWN_GROUP)
    try:
        cluster.create("/api/v1/namespaces", {"metadata": {"name": "grouped"}})
        for kind, name in ((own, "ours"), (BY_NAME[EgressGateway.KIND], "theirs")):
            body = {"apiVersion": f"{kind.group}/v1", "kind": kind.name, "metadata": {"name": name}, "spec": {}}
            cluster.create(f"/apis/{kind.group}/v1/namespaces/grouped/{kind.plural}", body)
        make_watcher(api_group=OWN_GROUP).start()
        wait_for("the list of the gateways", lambda: bool(bus.listed(EgressGateway.KIND)))
        assert len(bus.changed("ours")) == 1
        assert bus.changed("theirs") == []
    finally:
        grant(cluster, KUBE_OVN_GROUP)


def test_any_other_group_is_refused_and_the_two_are_named(make_watcher: Callable[..., Watcher]) -> None:
    watcher = make_watcher(api_group="example.com")
    Service.start(watcher)
    wait_for("the watcher to end", lambda: not watcher.alive)
    said = watcher.log.read_text()
    assert "VEG_API_GROUP: 'example.com': kubeovn.io or vpc-egress-gateway.io is allowed" in said


def test_a_kubeconfig_that_is_not_there_is_named_and_no_traceback_is_shown(
    make_watcher: Callable[..., Watcher],
) -> None:
    watcher = make_watcher()
    assert watcher.environment is not None
    watcher.environment["KUBECONFIG"] = "/nowhere/config"
    Service.start(watcher)
    wait_for("the watcher to end", lambda: not watcher.alive)
    assert watcher.stop() == 2
    said = watcher.log.read_text()
    assert "environment variable KUBECONFIG" in said
    assert "Traceback" not in said
