"""Every set of values lints and renders; what is wrong is refused, and the key is named."""

import re
from typing import Any

import pytest
import yaml
from chart.rendering import CHART, ROOT, SETS, containers, helm, objects, of_kind, template, text, variables, workloads

from veg_contracts.names import KUBE_OVN_GROUP

Json = dict[str, Any]


@pytest.mark.parametrize("name", SETS)
def test_a_set_lints(name: str) -> None:
    namespace, values = SETS[name]
    done = helm("lint", str(CHART), "--strict", "--namespace", namespace, values=values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SETS)
def test_a_set_renders_objects_of_one_namespace_each_once(name: str) -> None:
    namespace, _ = SETS[name]
    keys = [(found["apiVersion"], found["kind"], found["metadata"]["name"]) for found in objects(name)]
    assert len(set(keys)) == len(keys)
    assert {found["metadata"].get("namespace", namespace) for found in objects(name)} == {namespace}
    labels = [found["metadata"].get("labels", {}).get("app.kubernetes.io/part-of") for found in objects(name)]
    assert set(labels) == {"vpc-egress-gateway"}
    assert "<no value>" not in text(name)


def test_lint_takes_the_defaults() -> None:
    done = helm("lint", str(CHART), "--strict")
    assert done.returncode == 0, done.stdout + done.stderr


# What is wrong -> values, and the key that is named.
WRONG: dict[str, tuple[Json, str]] = {
    "unknown key": ({"watchers": {}}, "watchers"),
    "unknown key of a service": ({"watcher": {"replica": 1}}, "replica"),
    "unknown key of an image": ({"image": {"repository": "x"}}, "repository"),
    "unknown key deep below": ({"nats": {"external": {"tls": {"insecure": True}}}}, "insecure"),
    "no such group": ({"apiGroup": "example.com"}, "apiGroup"),
    "no replica": ({"planner": {"replicas": 0}}, "planner/replicas"),
    "a word as a number": ({"planner": {"replicas": "two"}}, "planner/replicas"),
    "latest": ({"image": {"tag": "latest"}}, "image/tag"),
    "half a digest": ({"watcher": {"image": {"digest": "sha256:abc"}}}, "watcher/image/digest"),
    "pull policy": ({"image": {"pullPolicy": "Sometimes"}}, "image/pullPolicy"),
    "log level": ({"logLevel": "loud"}, "logLevel"),
    "remote without a port": ({"ovn": {"nbRemote": "tcp:172.18.0.2"}}, "ovn/nbRemote"),
    "remote of no kind": ({"ovn": {"sbRemote": "http://172.18.0.2:6642"}}, "ovn/sbRemote"),
    "ssl without a Secret": ({"ovn": {"nbRemote": "ssl:172.18.0.2:6641"}}, "ovn.tls.existingSecret"),
    "credential in a URL": (
        {"nats": {"bundled": {"enabled": False}, "external": {"url": "nats://me:secret@10.0.0.1:4222"}}},
        "nats/external/url",
    ),
    "tls without tls": (
        {
            "nats": {
                "bundled": {"enabled": False},
                "external": {"url": "nats://10.0.0.1:4222", "tls": {"serverName": "nats.example"}},
            }
        },
        "nats.external.url",
    ),
    "no URL": ({"nats": {"bundled": {"enabled": False}}}, "nats.external.url"),
    "no database": ({"postgres": {"bundled": {"enabled": False}}}, "postgres.existingSecret"),
    "lease": ({"planner": {"leaseTtlSeconds": 0}}, "planner/leaseTtlSeconds"),
    "routing": ({"planner": {"customVpcRouting": "magic"}}, "planner/customVpcRouting"),
    "probe": ({"ovnWriter": {"chassisProbeSeconds": 301}}, "ovnWriter/chassisProbeSeconds"),
    "no limits": ({"busAuth": {"resources": {"limits": None}}}, "busAuth/resources"),
    "quantity": ({"kubeWriter": {"resources": {"limits": {"memory": "much"}}}}, "kubeWriter/resources/limits/memory"),
    "no addresses": ({"managementNetwork": {"cidr": "10.250.0.0"}}, "managementNetwork/cidr"),
    "two networks": ({"managementNetwork": {"create": True, "existing": "a/b"}}, "managementNetwork.existing"),
    "tls": ({"tls": {"mode": "maybe"}}, "tls/mode"),
    "no certificate": ({"tls": {"mode": "existing"}}, "tls.existing.natsSecret"),
    "an address as a network": ({"networkPolicy": {"ovnCIDRs": ["172.18.0.2"]}}, "networkPolicy/ovnCIDRs"),
    "port": ({"networkPolicy": {"apiServerPorts": [0]}}, "networkPolicy/apiServerPorts"),
    "volume": ({"postgres": {"bundled": {"persistence": {"size": "big"}}}}, "postgres/bundled/persistence/size"),
    "yes as a word": ({"crds": {"create": "yes"}}, "crds/create"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_value_is_refused_and_the_key_is_named(what: str) -> None:
    values, key = WRONG[what]
    done = template(values)
    assert done.returncode != 0
    assert key in done.stderr


def test_outside_kube_system_the_remotes_are_to_be_named() -> None:
    done = template({}, "veg")
    assert done.returncode != 0
    assert "ovn.nbRemote: a remote such as tcp:172.18.0.2:6641 is needed" in done.stderr


def test_a_kubernetes_that_is_too_old_is_refused() -> None:
    done = helm("template", "veg", str(CHART), "--namespace=kube-system", "--kube-version=1.27.9")
    assert done.returncode != 0
    assert "chart requires kubeVersion: >=1.28.0-0" in done.stderr


def test_every_map_of_the_schema_is_closed() -> None:
    def opened(part: Any, path: str) -> list[str]:
        if not isinstance(part, dict):
            return []
        here = [path] if "properties" in part and part.get("additionalProperties") is not False else []
        return here + [found for key, inner in part.items() for found in opened(inner, f"{path}/{key}")]

    assert opened(yaml.safe_load((CHART / "values.schema.json").read_text()), "") == []


@pytest.mark.parametrize("group", ["kubeovn.io", "vpc-egress-gateway.io"])
def test_crd_and_roles_are_those_that_are_shipped(group: str) -> None:
    name = "evaluation" if group == KUBE_OVN_GROUP else "own-group"
    (crd,) = of_kind(name, "CustomResourceDefinition")
    assert crd["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    del crd["metadata"]["labels"]
    assert crd == yaml.safe_load((ROOT / "crds" / group / "vpc-egress-gateways.yaml").read_text())

    shipped = list(yaml.safe_load_all((CHART / "files" / "rbac" / f"{group}.yaml").read_text()))
    for kind in ("ClusterRole", "Role"):
        rules = {each["metadata"]["name"]: each["rules"] for each in shipped if each["kind"] == kind}
        rendered = {each["metadata"]["name"]: each["rules"] for each in of_kind(name, kind)}
        assert rules.items() <= rendered.items()
    for binding in of_kind(name, "ClusterRoleBinding", "RoleBinding"):
        assert [subject["kind"] for subject in binding["subjects"]] == ["ServiceAccount"], "no user has a right"
        assert binding["subjects"][0]["namespace"] == SETS[name][0]


def test_without_crds_create_there_is_no_crd() -> None:
    assert of_kind("minimal", "CustomResourceDefinition") == []


@pytest.mark.parametrize("name", SETS)
def test_only_who_speaks_to_the_api_server_has_a_token(name: str) -> None:
    with_token = {
        workload["metadata"]["name"]
        for workload in workloads(name)
        if workload["spec"]["template"]["spec"]["automountServiceAccountToken"]
    }
    assert with_token - {"veg-secrets", "veg-preflight"} == {"veg-watcher", "veg-kube-writer", "veg-bus-auth"}


@pytest.mark.parametrize("name", [name for name in SETS if name != "minimal"])
def test_every_pod_has_a_policy_for_both_ways(name: str) -> None:
    for workload in workloads(name):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        chosen = [
            policy["spec"]
            for policy in of_kind(name, "NetworkPolicy")
            if policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        ]
        assert len(chosen) == 1, workload["metadata"]["name"]
        assert chosen[0]["policyTypes"] == ["Ingress", "Egress"]


def test_policies_name_the_addresses_that_are_given() -> None:
    rules = {each["metadata"]["name"]: each["spec"] for each in of_kind("production", "NetworkPolicy")}
    dns = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}

    def to(cidr: str, *ports: int) -> Json:
        return {"ports": [{"protocol": "TCP", "port": port} for port in ports], "to": [{"ipBlock": {"cidr": cidr}}]}

    assert rules["veg-planner"]["egress"] == [to("10.0.0.0/24", 4222), to("10.0.1.5/32", 6432), dns]
    assert rules["veg-ovn-writer"]["egress"] == [to("10.0.0.0/24", 4222), to("172.18.0.0/24", 6641, 6642), dns]
    assert rules["veg-watcher"]["egress"] == [to("10.0.0.0/24", 4222), to("172.18.0.2/32", 443, 6443), dns]
    assert rules["veg-migrate"]["egress"] == [to("10.0.1.5/32", 6432), dns]


@pytest.mark.parametrize(
    "network", [{"create": True}, {"existing": "kube-system/theirs"}], ids=lambda each: next(iter(each))
)
def test_a_bundled_bus_lets_the_management_network_in(network: Json) -> None:
    done = template({"managementNetwork": {**network, "cidr": "10.9.0.0/16,fd09::/64"}})
    (policy,) = (
        each
        for each in yaml.safe_load_all(done.stdout)
        if each and each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "veg-nats"
    )
    sources = [source for rule in policy["spec"]["ingress"] for source in rule["from"]]
    assert {"ipBlock": {"cidr": "10.9.0.0/16"}} in sources
    assert {"ipBlock": {"cidr": "fd09::/64"}} in sources


@pytest.mark.parametrize("name", SETS)
def test_no_secret_is_in_a_rendered_object(name: str) -> None:
    made = {"veg-nats-tls", "veg-postgres-tls"}  # certificates of an evaluation, which Helm makes itself
    assert {each["metadata"]["name"] for each in of_kind(name, "Secret")} <= made
    for workload in workloads(name):
        for container in containers(workload):
            values = [*variables(container).values(), *container.get("args", ()), *container.get("command", ())]
            assert not [value for value in values if re.search(r"://[^/]*:[^/]*@", value)]


def test_images_by_tag_and_by_digest() -> None:
    images = {
        container["name"]: container["image"] for each in workloads("production") for container in containers(each)
    }
    assert images["watcher"] == f"registry.example/veg/watcher@{SETS['production'][1]['gateway']['image']['digest']}"
    assert images["kube-writer"] == "registry.example/veg/kube-writer:1.2.3"
    assert images["migrate"] == "registry.example/veg/migrations:1.2.3"


def test_an_external_database_is_migrated_before_and_a_bundled_one_by_the_planner() -> None:
    (job,) = (each for each in workloads("production") if each["metadata"]["name"] == "veg-migrate")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    planner = {name: next(w for w in workloads(name) if w["metadata"]["name"] == "veg-planner") for name in SETS}
    assert "initContainers" not in planner["production"]["spec"]["template"]["spec"]
    (migrate,) = planner["evaluation"]["spec"]["template"]["spec"]["initContainers"]
    assert migrate["image"].endswith("/migrations:dev")
    owner = [mount["name"] for mount in migrate["volumeMounts"]]
    own = [
        mount["name"] for mount in planner["evaluation"]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    ]
    assert "postgres-owner" in owner
    assert "postgres-owner" not in own, "the planner cannot read the owner's password"


def test_the_management_network_is_an_overlay_of_the_default_vpc() -> None:
    (network,) = of_kind("custom-vpc", "NetworkAttachmentDefinition")
    (subnet,) = of_kind("custom-vpc", "Subnet")
    assert (
        yaml.safe_load(network["spec"]["config"])["provider"]
        == subnet["spec"]["provider"]
        == "veg-mgmt.kube-system.ovn"
    )
    assert (subnet["spec"]["vpc"], subnet["spec"]["protocol"]) == ("ovn-cluster", "Dual")
    (planner,) = (each for each in workloads("custom-vpc") if each["metadata"]["name"] == "veg-planner")
    environment = variables(planner["spec"]["template"]["spec"]["containers"][0])
    assert environment["VEG_MANAGEMENT_NETWORK"] == "kube-system/veg-mgmt"


def test_a_fixed_address_of_the_bus_is_in_its_url_ipv6_in_brackets() -> None:
    (planner,) = (each for each in workloads("certificates") if each["metadata"]["name"] == "veg-planner")
    assert (
        variables(planner["spec"]["template"]["spec"]["containers"][0])["VEG_AGENT_NATS_URL"] == "tls://10.96.0.10:4222"
    )
    done = template({"nats": {"bundled": {"clusterIP": "fd00:10:96::10"}}})
    assert '"tls://[fd00:10:96::10]:4222"' in done.stdout
