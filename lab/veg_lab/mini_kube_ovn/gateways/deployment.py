"""The Deployment of a gateway of Kube-OVN's own. No I/O.

Its containers are of an image that the lab's nodes have: a shell in the place of the scripts of Kube-OVN's image. With
BFD there is no speaker in it, since a session needs Kube-OVN's own OVN as well.
"""

import json
from hashlib import sha256
from ipaddress import ip_network

from veg_lab.mini_kube_ovn.behaviours import OwnGateways
from veg_lab.mini_kube_ovn.gateways.model import KIND, Gateway, Surroundings, WorkloadError, first_of
from veg_lab.mini_kube_ovn.model import Json
from veg_lab.mini_kube_ovn.names import NETWORKS_ANNOTATION, OVN_PROVIDER, annotation

HASH = "ovn.kubernetes.io/generate-hash"
_IMAGE = "localhost/veg/lab-client:dev"
# What does not match a source of the other kind is masqueraded; run again after a restart of the pod's sandbox.
_INIT = """set -eu
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
for family in 4 6; do
  tables=iptables excluded=$NO_SNAT_SOURCES_IPV4
  test $family = 4 || { tables=ip6tables excluded=$NO_SNAT_SOURCES_IPV6; }
  $tables -w -t nat -F POSTROUTING
  for source in $(echo "$excluded" | tr , ' '); do $tables -w -t nat -A POSTROUTING -s $source -j RETURN; done
  $tables -w -t nat -A POSTROUTING -o net1 -j MASQUERADE --random-fully
done
"""


def deployment(gateway: Gateway, around: Surroundings, form: OwnGateways) -> Json:
    """With the hash of itself in its annotations. Raises WorkloadError."""
    _check_counts(gateway)
    pod: Json = {
        "metadata": {"labels": gateway.labels, "annotations": _annotations(gateway, around)},
        "spec": {
            "terminationGracePeriodSeconds": form.grace_with_bfd_s if gateway.bfd else 0,
            "affinity": _affinity(gateway),
            "tolerations": gateway.spec.get("tolerations") or [],
            "initContainers": [_init(gateway, around)],
            "containers": [_main(gateway)],
        },
    }
    owner = {"apiVersion": "kubeovn.io/v1", "kind": KIND, "name": gateway.meta["name"], "uid": gateway.meta["uid"]}
    meta = {
        "namespace": gateway.meta["namespace"],
        "name": gateway.workload,
        "labels": gateway.labels,
        "ownerReferences": [owner],
    }
    spec = {
        "selector": {"matchLabels": gateway.labels},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        "template": pod,
    }
    text = json.dumps([meta, spec], sort_keys=True)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**meta, "annotations": {HASH: sha256(text.encode()).hexdigest()[:12]}},
        "spec": {**spec, "replicas": gateway.replicas},
    }


def is_outdated(present: Json, wanted: Json) -> bool:
    """Only a new hash or another number is written: what somebody changed by hand stays."""
    before = (present["metadata"].get("annotations") or {}).get(HASH)
    return bool(
        before != wanted["metadata"]["annotations"][HASH] or present["spec"]["replicas"] != wanted["spec"]["replicas"]
    )


def _check_counts(gateway: Gateway) -> None:
    for kind in ("internal", "external"):
        given = gateway.spec.get(f"{kind}IPs") or ()
        if given and len(given) < gateway.replicas:
            raise WorkloadError(f"{kind} IPs count {len(given)} is less than replicas {gateway.replicas}")


def _annotations(gateway: Gateway, around: Surroundings) -> dict[str, str]:
    external = around.external.provider
    inward = [*(gateway.bfd_port.get("ip", "").split(",") if gateway.bfd else ())]
    inward += [
        str(source)
        for source in around.sources
        if not any(int(n[0]) <= int(source[0]) and int(source[-1]) <= int(n[-1]) for n in around.internal.networks)
    ]
    gateways = [str(address) for address in around.internal.gateways]
    inside = [(str(ip_network(each)), first_of(gateways, 6 if ":" in each else 4)) for each in inward if each]
    outside = [("::/0" if address.version == 6 else "0.0.0.0/0", str(address)) for address in around.external.gateways]  # noqa: PLR2004
    values = {
        NETWORKS_ANNOTATION: around.attachment,
        annotation(OVN_PROVIDER, "logical_switch"): around.internal.name,
        annotation(OVN_PROVIDER, "routes"): _routes(inside),
        annotation(OVN_PROVIDER, "ip_pool"): ";".join(gateway.spec.get("internalIPs") or ()),
        annotation(external, "routes"): _routes(outside),
        annotation(external, "ip_pool"): ";".join(gateway.spec.get("externalIPs") or ()),
    }
    return {key: value for key, value in values.items() if value}


def _routes(routes: list[tuple[str, str]]) -> str:
    """Without those that have no gateway of their family; none at all is no annotation."""
    found = [{"dst": dst, "gw": gw} for dst, gw in sorted(set(routes)) if gw]
    return json.dumps(found, separators=(",", ":")) if found else ""


def _affinity(gateway: Gateway) -> Json:
    terms = []
    for each in gateway.spec.get("nodeSelector") or ():
        labels = [
            {"key": key, "operator": "In", "values": [value]}
            for key, value in sorted((each.get("matchLabels") or {}).items())
        ]
        fields = {"matchFields": each["matchFields"]} if each.get("matchFields") else {}
        terms.append({"matchExpressions": [*(each.get("matchExpressions") or ()), *labels], **fields})
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": gateway.labels}}
    return {
        "podAntiAffinity": {required: [apart]},
        "nodeAffinity": {required: {"nodeSelectorTerms": terms}} if terms else {},
    }


def _init(gateway: Gateway, around: Surroundings) -> Json:
    environment = []
    plain = {
        network
        for policy in gateway.spec.get("policies") or ()
        if not policy.get("snat")
        for network in policy.get("ipBlocks") or ()
    }
    for version in (4, 6):
        inner = first_of(map(str, around.internal.gateways), version)
        outer = first_of(map(str, around.external.gateways), version)
        environment += [
            {"name": f"INTERNAL_GATEWAY_IPV{version}", "value": inner},
            {"name": f"EXTERNAL_GATEWAY_IPV{version}", "value": outer},
            {
                "name": f"NO_SNAT_SOURCES_IPV{version}",
                "value": ",".join(sorted(each for each in plain if first_of([each], version))),
            },
        ]
    return {
        "name": "init",
        "image": gateway.spec.get("image") or _IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", _INIT],
        "env": environment,
        "securityContext": {"privileged": True},
    }


def _main(gateway: Gateway) -> Json:
    rights = {"drop": ["ALL"], "add": ["NET_ADMIN", *(["NET_BIND_SERVICE"] if gateway.bfd else []), "NET_RAW"]}
    container: Json = {
        "name": "bfdd" if gateway.bfd else "gateway",
        "image": gateway.spec.get("image") or _IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "infinity"],
        "securityContext": {"privileged": False, "runAsUser": 65534, "capabilities": rights},
    }
    if gateway.bfd:
        container["env"] = [
            {"name": "POD_IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}},
            {"name": "BFD_PEER_IPS", "value": gateway.bfd_port.get("ip", "")},
            {"name": "BFD_MIN_TX", "value": str(gateway.bfd.get("minTX", 1000))},
            {"name": "BFD_MIN_RX", "value": str(gateway.bfd.get("minRX", 1000))},
            {"name": "BFD_MULTI", "value": str(gateway.bfd.get("multiplier", 3))},
        ]
    return container
