"""`vegctl preflight` against a real API server, Northbound database and bus, with the rights to read and no others."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from functional import control_plane
from functional.control_plane import ControlPlane, RefusedError
from functional.ovsdb import Ovsdb, schema_without
from functional.servers import REPOSITORY, Nats, wait_for

from veg_contracts.names import OWN_GROUP

Json = dict[str, Any]
READER = "watcher"  # a user with the rights that are granted below
NOBODY = "kube-writer"
BUS_IP = "10.96.0.20"
CRDS = REPOSITORY / "lab" / "crds"
RBAC = REPOSITORY / "charts" / "vpc-egress-gateway" / "files" / "rbac" / f"{OWN_GROUP}.yaml"
SUBNETS: dict[str, Json] = {
    "ovn-default": {"vpc": "ovn-cluster", "provider": "ovn", "cidrBlock": "10.16.0.0/16"},
    "subnet1": {"vpc": "vpc1", "provider": "ovn", "cidrBlock": "192.168.0.0/24"},
    "macvlan1": {"provider": "eth1.default", "cidrBlock": "172.17.0.0/16"},
    "mgmt": {"vpc": "ovn-cluster", "provider": "mgmt.kube-system.ovn", "cidrBlock": "10.250.0.0/16"},
}
# What preflight asks for, and nothing else: a SubjectAccessReview is a question, and is not stored.
RULES: list[Json] = [
    {"apiGroups": ["kubeovn.io"], "resources": ["vpcs", "subnets"], "verbs": ["list"]},
    {"apiGroups": ["kubeovn.io", OWN_GROUP], "resources": ["vpc-egress-gateways"], "verbs": ["list"]},
    {"apiGroups": ["k8s.cni.cncf.io"], "resources": ["network-attachment-definitions"], "verbs": ["list"]},
    {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["services"], "verbs": ["list"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
]


@dataclass(frozen=True)
class Run:
    """What came of one call."""

    code: int
    said: Json
    errors: str = ""

    def of(self, identity: str, thing: str = "") -> Json:
        """The one finding with that id, about an object whose name ends so."""
        (found,) = [each for each in self.said["findings"] if each["id"] == identity and each["object"].endswith(thing)]
        return dict(found)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster with Kube-OVN 1.17 and its own gateways, our CRD and rights in our own group, and some networks."""
    with control_plane.running(tmp_path_factory.mktemp("preflight-control-plane")) as made:
        wait_for("kube-system", lambda: has_namespace(made, "kube-system"))
        files = (CRDS / "kube-ovn.yaml", CRDS / "own-gateways" / "kube-ovn.yaml", CRDS / "multus.yaml")
        for file in (*files, REPOSITORY / "crds" / OWN_GROUP / "vpc-egress-gateways.yaml"):
            for crd in yaml.safe_load_all(file.read_text()):
                made.install(crd)
        for document in yaml.safe_load_all(RBAC.read_text()):
            create(made, document)
        for document in objects():
            create(made, document)
        yield made


def has_namespace(plane: ControlPlane, name: str) -> bool:
    try:
        plane.request("GET", f"/api/v1/namespaces/{name}")
    except RefusedError:
        return False
    return True


def objects() -> Iterator[Json]:
    words = ["/kube-ovn/start-controller.sh", "--cluster-router=ovn-cluster"]
    container = {"name": "c", "image": "docker.io/kubeovn/kube-ovn:v1.17.0", "args": words}
    labels = {"app": "kube-ovn-controller"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    yield named("apps/v1", "Deployment", "kube-ovn-controller", "kube-system") | {
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    }
    service = {"clusterIP": BUS_IP, "ports": [{"port": 4222}]}
    yield named("v1", "Service", "veg-nats", "kube-system") | {"spec": service}
    for vpc, subnet in {"ovn-cluster": "ovn-default", "vpc1": "subnet1"}.items():
        yield named("kubeovn.io/v1", "Vpc", vpc) | {
            "spec": {},
            "status": {"router": vpc, "defaultLogicalSwitch": subnet},
        }
    for name, spec in SUBNETS.items():
        yield named("kubeovn.io/v1", "Subnet", name) | {"spec": spec}
    for name, namespace, config in (
        ("eth1", "default", {"type": "macvlan", "ipam": {"type": "kube-ovn", "provider": "eth1.default"}}),
        ("mgmt", "kube-system", {"type": "kube-ovn", "provider": "mgmt.kube-system.ovn"}),
    ):
        manifest = named("k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition", name, namespace)
        yield manifest | {"spec": {"config": json.dumps(config)}}
    role = named("rbac.authorization.k8s.io/v1", "ClusterRole", "preflight")
    yield role | {"rules": RULES}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "preflight"}
    binding = named("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "preflight")
    yield binding | {"roleRef": reference, "subjects": [{"kind": "User", "name": READER}]}


def named(version: str, kind: str, name: str, namespace: str = "") -> Json:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": meta}


def create(plane: ControlPlane, document: Json) -> None:
    """Create an object, and its status where it has one of its own."""
    version, kind, meta = document["apiVersion"], document["kind"], document["metadata"]
    plural = "network-attachment-definitions" if kind == "NetworkAttachmentDefinition" else f"{kind.lower()}s"
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    within = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    plane.create(f"{root}{within}/{plural}", document)
    if "status" in document:
        plane.patch(f"{root}{within}/{plural}/{meta['name']}/status", {"status": document["status"]})


@pytest.fixture
def northbound(tmp_path: Path) -> Iterator[Ovsdb]:
    """OVN as Kube-OVN 1.17 has it: its own src-ip route in vpc1, and a BFD port."""
    made = Ovsdb(tmp_path)
    made.start()
    made.nbctl("lr-add", "ovn-cluster", "--", "lr-add", "vpc1")
    made.nbctl("--policy=src-ip", "lr-route-add", "vpc1", "192.168.0.0/24", "192.168.0.1")
    made.nbctl("--policy=src-ip", "lr-route-add", "vpc1", "192.168.1.0/24", "192.168.0.9")
    ours = made.nbctl("--bare", "--columns=_uuid", "find", "Logical_Router_Static_Route", "nexthop=192.168.0.9")
    made.nbctl("set", "Logical_Router_Static_Route", ours, "external_ids:vpc-egress-gateway.io/owner=default/g")
    made.nbctl("lrp-add", "vpc1", "bfd@vpc1", "02:00:00:00:00:01", "10.255.255.255/32")
    made.nbctl("set", "Logical_Router_Port", "bfd@vpc1", "options:bfd-only=true")
    made.nbctl("set", "NB_Global", ".", "options:northd_internal_version=25.03.1-test")
    yield made
    made.kill()


@pytest.fixture
def environment(plane: ControlPlane, northbound: Ovsdb, nats_server: Nats) -> dict[str, str]:
    return {
        "KUBECONFIG": str(plane.kubeconfig(READER)),
        "VEG_NB_REMOTE": northbound.remote,
        "VEG_AGENT_NATS_URL": f"nats://{BUS_IP}:4222",
        **nats_server.environment("reader"),
    }


def preflight(environment: dict[str, str], *words: str) -> Run:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VEG_", "KUBE"))}
    argv = [sys.executable, "-m", "vegctl", "preflight", "--output", "json", *words]
    done = subprocess.run(argv, env=clean | environment, capture_output=True, text=True, timeout=90, check=False)
    return Run(done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else {}, done.stderr)


def test_a_cluster_that_works(environment: dict[str, str], northbound: Ovsdb) -> None:
    before = northbound.dump()
    found = preflight(environment, "--vpc", "vpc1")
    assert {each["id"] for each in found.said["findings"] if each["severity"] == "blocker"} == set()
    # bus-auth has its rights from another version of the chart: nothing else is missing here.
    doubts = {each["id"] for each in found.said["findings"] if each["severity"] in ("limit", "unknown")}
    assert doubts <= {"rights.bus-auth"}
    assert found.code == (1 if doubts else 0)
    assert found.said["settings"] == {
        "VEG_API_GROUP": OWN_GROUP,
        "VEG_DEFAULT_VPC": "ovn-cluster",
        "VEG_CUSTOM_VPC_ROUTING": "auto",
        "VEG_MANAGE_BFD_PORTS": "auto",
        "VEG_BFD_RELAY": "on",
        "VEG_MANAGEMENT_NETWORK": "kube-system/mgmt",
    }
    assert found.of("kube-ovn.version")["found"].startswith("version 1.17.0")
    assert found.of("vpc.bus", "vpc1")["found"].endswith(f"NATS is Service kube-system/veg-nats ({BUS_IP})")
    assert found.of("ovn.src-ip")["found"].endswith("not ours: 192.168.0.0/24 -> 192.168.0.1")
    assert found.of("ovn.schema")["found"].endswith("northd 25.03.1-test")
    assert found.of("rights.watcher")["severity"] == found.of("rights.kube-writer")["severity"] == "ok"
    assert northbound.dump() == before


def test_settings_that_are_given_are_judged(environment: dict[str, str]) -> None:
    wrong = {"VEG_API_GROUP": "kubeovn.io", "VEG_CUSTOM_VPC_ROUTING": "static-route"}
    found = preflight(environment | wrong)
    assert found.code == 2
    blockers = {each["id"] for each in found.said["findings"] if each["severity"] == "blocker"}
    assert {"kube-ovn.gateways", "crd", "ovn.src-ip"} <= blockers
    assert found.said["settings"]["VEG_API_GROUP"] == OWN_GROUP


def test_a_session_that_is_up_shows_the_patches_where_the_port_has_no_peer(
    environment: dict[str, str], northbound: Ovsdb
) -> None:
    northbound.nbctl("create", "BFD", "logical_port=bfd@vpc1", "dst_ip=192.168.0.2", "status=up")
    assert preflight(environment).said["settings"]["VEG_BFD_RELAY"] == "auto"
    northbound.nbctl("ls-add", "stub", "--", "lsp-add", "stub", "peer", "--", "lsp-set-type", "peer", "router")
    northbound.nbctl("lsp-set-options", "peer", "router-port=bfd@vpc1")
    assert preflight(environment).said["settings"]["VEG_BFD_RELAY"] == "on", "it may run by its peer"


def test_a_part_of_the_rights_is_named(environment: dict[str, str], plane: ControlPlane) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/veg-watcher"
    rules = plane.request("GET", path)["rules"]
    fewer = [rule for rule in rules if "nodes" not in rule["resources"]]
    plane.patch(path, {"rules": fewer})
    try:
        wait_for("the API server to refuse", lambda: preflight(environment).code == 2)
        found = preflight(environment).of("rights.watcher")
        assert found["severity"] == "blocker"
        assert "list nodes" in found["found"]
        assert "vpcs" not in found["found"]
    finally:
        plane.patch(path, {"rules": rules})


def test_whoever_may_see_nothing_is_told_what_could_not_be_seen(
    environment: dict[str, str], plane: ControlPlane
) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/veg-kube-writer"
    binding = plane.request("GET", path)
    plane.delete(path)
    try:
        found = preflight(environment | {"KUBECONFIG": str(plane.kubeconfig(NOBODY))})
    finally:
        plane.create(path.rpartition("/")[0], {**binding, "metadata": {"name": binding["metadata"]["name"]}})
    unread = {each["id"] for each in found.said["findings"] if each["id"].startswith("unread.")}
    parts = "controller central definitions vpcs subnets attachments gateways service rights"
    assert unread == {f"unread.{part}" for part in parts.split()}
    assert found.of("kubernetes.version")["severity"] == "ok"
    assert found.code == 1


@pytest.mark.parametrize("wrong", ["file", "token", "server"])
def test_without_an_api_server_the_rest_is_judged(
    environment: dict[str, str], plane: ControlPlane, wrong: str, tmp_path: Path
) -> None:
    config = json.loads(plane.kubeconfig(READER).read_text())
    if wrong == "token":
        config["users"][0]["user"]["token"] = "wrong"
    else:
        config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    file = tmp_path / "kubeconfig"
    if wrong != "file":
        file.write_text(json.dumps(config))
    found = preflight(environment | {"KUBECONFIG": str(file)})
    assert found.code == 2
    assert found.of("kubernetes")["severity"] == "blocker"
    assert found.of("ovn.schema")["severity"] == found.of("bus.streams")["severity"] == "ok"
    assert found.said["settings"] == {}
    assert "Traceback" not in found.errors


def test_an_older_schema_is_a_limit(environment: dict[str, str], tmp_path: Path) -> None:
    schema = schema_without(tmp_path, "Logical_Router_Static_Route", "selection_fields")
    (tmp_path / "older").mkdir()
    older = Ovsdb(tmp_path / "older", schema=schema)
    older.start()
    try:
        found = preflight(environment | {"VEG_NB_REMOTE": f"tcp:127.0.0.1:1,{older.remote}"})
        assert found.of("ovn.selection-fields")["severity"] == "limit"
        assert found.of("ovn.schema")["severity"] == "ok"
        assert found.code == 1
    finally:
        older.kill()


@pytest.mark.parametrize(
    ("remote", "reason"),
    [
        ("tcp:127.0.0.1:1", "Connect call failed"),
        ("unix:/nowhere/nb.sock", "No such file"),
        ("tcp:x", "unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT is allowed"),
    ],
)
def test_a_database_that_is_away(environment: dict[str, str], remote: str, reason: str) -> None:
    found = preflight(environment | {"VEG_NB_REMOTE": remote})
    assert found.code == 2
    assert reason in found.of("ovn.schema")["found"]
    assert "Traceback" not in found.errors


def test_a_database_that_hangs_is_not_waited_for_for_ever(environment: dict[str, str], northbound: Ovsdb) -> None:
    northbound.process.send(signal.SIGSTOP)
    try:
        found = preflight(environment)
    finally:
        northbound.process.send(signal.SIGCONT)
    assert "no answer within 10 s" in found.of("ovn.schema")["found"]
    assert found.code == 2


def test_a_database_of_another_kind(environment: dict[str, str], tmp_path: Path) -> None:
    southbound = Ovsdb(tmp_path, "sb")
    southbound.start()
    try:
        found = preflight(environment | {"VEG_NB_REMOTE": southbound.remote})
        assert "OVN_Northbound" in found.of("ovn.schema")["found"]
        assert found.code == 2
    finally:
        southbound.kill()


def test_the_bus_refuses_or_is_away(environment: dict[str, str], nats_server: Nats) -> None:
    found = preflight(environment | {"VEG_NATS_PASSWORD": "wrong"})
    assert "Authorization Violation" in found.of("bus")["found"]
    assert "wrong" not in json.dumps(found.said), "a password is not repeated"
    assert found.code == 2
    nats_server.process.send(signal.SIGSTOP)
    assert preflight(environment).of("bus")["severity"] == "blocker"
    nats_server.kill()
    found = preflight(environment)
    assert "Connect call failed" in found.of("bus")["found"]
    assert "Traceback" not in found.errors


def test_where_nothing_is_named_nothing_is_looked_at(plane: ControlPlane) -> None:
    found = preflight({"KUBECONFIG": str(plane.kubeconfig(READER))})
    assert found.of("ovn.schema")["severity"] == found.of("bus")["severity"] == "unknown"
    assert found.code == 1


class _Odd(http.server.BaseHTTPRequestHandler):
    """An API server whose objects have no spec: no server of Kubernetes does that."""

    def do_GET(self) -> None:
        body = json.dumps({"gitVersion": "v1.36.4", "items": [{}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_bug_is_no_verdict_that_it_works(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Odd) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(config))
        found = preflight({"KUBECONFIG": str(file)})
        server.shutdown()
    assert found.code == 2
    assert "Traceback" in found.errors


@pytest.mark.parametrize("name", ["VEG_API_GROUP", "VEG_BFD_RELAY", "VEG_CUSTOM_VPC_ROUTING"])
def test_a_setting_that_is_not_allowed_is_named(name: str) -> None:
    found = preflight({name: "x"})
    assert found.code == 2
    assert name in found.errors
    assert "is allowed" in found.errors
