"""A gateway pod that goes on purpose takes nothing with it: its nexthop leaves OVN before it stops serving.

32 clients ping every 10 ms and have a TCP stream open each, while new connections are made all the time.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import traffic
from support import bfd
from support.clients import await_running, client_pod
from support.lab import Lab, eventually
from support.vpcs import egress, subnet, vpc

pytestmark = pytest.mark.timed

CLIENTS = 32
TRAFFIC_AFTER_S = 3.0
NAME = "draining"
SERVER = "172.17.0.1"
PLACES = {
    "policies": ("ovn-cluster", "drain-default", "10.47.0.0/24"),
    "static routes": ("drain", "drain-custom", "192.168.47.0/24"),
}


@pytest.fixture(params=PLACES, scope="module")
def clients(lab: Lab, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The clients by name, of a gateway of three in either kind of VPC."""
    router, network, cidr = PLACES[request.param]
    custom = router != "ovn-cluster"
    lab.apply(*([vpc(router)] if custom else []), subnet(network, "IPv4", cidr, vpc=router))
    fast = {"enabled": True, "minRX": 100, "minTX": 100}
    sources = [{"snat": True, "subnets": [network]}]
    names = [f"drain{number}" for number in range(CLIENTS)]
    with bfd.port(lab, router, "10.255.255.255"):
        spec = {"vpc": router, "internalSubnet": network, "externalSubnet": "macvlan1", "bfd": fast}
        lab.apply(egress(NAME, replicas=3, policies=sources, **spec))
        lab.apply(*(client_pod(name, subnet=network) for name in names))
        keys = {name: f"default/{name}" for name in names}
        await_running(lab, *keys.values())
        yield keys
        lab.kubectl("delete", "veg", NAME, "--timeout=90s")
    lab.kubectl("delete", "pod", *names)
    lab.kubectl("delete", "subnet", network)
    if custom:
        lab.kubectl("delete", "vpc", router)


def evict(lab: Lab) -> None:
    """As a node drain does it."""
    before = pods(lab)
    name = min(before)
    meta = {"name": name, "namespace": "default"}
    body = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": meta}
    path = f"/api/v1/namespaces/default/pods/{name}/eviction"
    lab.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))
    eventually(lambda: name not in pods(lab) and len(pods(lab)) == 3, 120, f"pod {name} is replaced")
    lab.ready(NAME, 3)


def roll_out(lab: Lab) -> None:
    """All three pods are replaced, since their template is another one."""
    before = pods(lab)
    requests = {"cpu": f"{11 + int(time.time()) % 80}m"}
    patch = {"spec": {"resources": {"requests": requests}}}
    lab.kubectl("patch", "veg", NAME, "--type=merge", "-p", json.dumps(patch))
    eventually(lambda: not before & pods(lab) and len(pods(lab)) == 3, 120, "all pods are new")
    lab.ready(NAME, 3)


def scale_down(lab: Lab) -> None:
    lab.kubectl("scale", "veg", NAME, "--replicas=1")
    lab.ready(NAME, 1)


def pods(lab: Lab) -> set[str]:
    return {item["metadata"]["name"] for item in lab.gateway_pods(NAME)}


def every_pod(lab: Lab) -> set[str]:
    """Also those that are being deleted."""
    return {item["metadata"]["name"] for item in lab.get("pod")["items"]}


def sources_of_all(seen: traffic.Traffic) -> dict[traffic.Flow, str]:
    """The address outside of each client, once all have one."""
    seen.look()
    return dict(seen.sources) if len(seen.sources) == CLIENTS else {}


@pytest.mark.parametrize("change", [evict, roll_out, scale_down], ids=lambda change: change.__name__)
def test_no_ping_is_lost_and_no_new_connection_fails(
    lab: Lab, clients: dict[str, str], change: Callable[[Lab], None], tmp_path: Path
) -> None:
    lab.ready(NAME, 3)
    file = tmp_path / "streams.json"
    with (
        traffic.running(lab.name, clients, tmp_path, (SERVER,)) as seen,
        traffic.streams(lab.name, clients, file),
    ):
        before = eventually(lambda: sources_of_all(seen), 10, "every client is answered")
        leaving = pods(lab)
        change(lab)
        leaving -= pods(lab)
        eventually(lambda: not leaving & every_pod(lab), 60, f"{leaving} are gone")
        time.sleep(TRAFFIC_AFTER_S)
    seen.look()
    assert len(seen.numbers) == CLIENTS
    result: dict[str, Any] = json.loads(file.read_text())
    answered = sum(len(numbers) for numbers in seen.numbers.values())
    moved = sum(seen.sources[flow] != source for flow, source in before.items())
    print(f"{answered} pings answered, the slowest after {seen.slowest_s * 1000:.0f} ms, lost: {seen.lost()}")
    print(f"{moved} of {CLIENTS} pings have another address outside than before")
    print(f"{result['connects']} new connections, the slowest {result['slowest_s']} s, failed: {result['failed']}")
    new = sum("just made" in text for text in result["broken"])
    print(f"{len(result['broken']) - new} of {result['streams']} streams broke, and {new} that were just made")
    assert seen.lost() == {}
    assert result["connects"] > CLIENTS
    assert result["failed"] == []
    assert result["sent_again"] == [], "no packet of a handshake was lost"
