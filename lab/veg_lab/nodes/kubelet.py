"""kubelet of a node: its identity, its configuration, and the component."""

import json

from veg_lab import certificates, probes
from veg_lab.certificates import Pair
from veg_lab.control_plane import api_server_url, kubeconfig
from veg_lab.nodes import cgroups, containerd, filesystem
from veg_lab.nodes.inventory import Node
from veg_lab.process import Component

_HEALTH = "http://127.0.0.1:10248/healthz"


def prepare(node: Node) -> None:
    """The key by which the API server knows the node, a kubeconfig, and the configuration."""
    own = Pair.at(node.directory, "kubelet")
    if not own.certificate.exists():
        _issue(node, own)
    credentials = {"client-certificate": str(own.certificate), "client-key": str(own.key)}
    text = kubeconfig(node.lab, api_server_url(), "kubelet", credentials)
    (node.directory / "kubelet.kubeconfig").write_text(text)
    (node.directory / "kubelet.json").write_text(json.dumps(configuration(node), indent=1))


def _issue(node: Node, own: Pair) -> None:
    authority, draft = Pair.at(node.lab.run / "pki", "ca"), Pair(own.certificate.with_suffix(".new"), own.key)
    subject = f"/O=system:nodes/CN=system:node:{node.name}"
    certificates.issue(draft, authority, subject, "extendedKeyUsage=clientAuth")
    draft.certificate.rename(own.certificate)


def configuration(node: Node) -> dict[str, object]:
    """The KubeletConfiguration. What is not the default is so because a node of the lab shares its machine."""
    never = dict.fromkeys(("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"), "0%")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "healthzBindAddress": "127.0.0.1",
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": f"{node.lab.run}/pki/ca.crt"},
        },
        "authorization": {"mode": "AlwaysAllow"},  # of those that have a certificate of the lab
        "containerRuntimeEndpoint": f"unix://{containerd.SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "failSwapOn": False,
        "evictionHard": {**never, "imagefs.inodesFree": "0%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "localStorageCapacityIsolation": False,
        "clusterDNS": ["10.96.0.10"],
        "clusterDomain": "cluster.local",
        "maxPods": 250,
        "makeIPTablesUtilChains": False,
        "volumePluginDir": "/var/lib/kubelet/plugins-exec",
        "podLogsDir": "/var/lib/kubelet/logs",
        # A node that dies is noticed within seconds: control_plane says how many.
        "nodeStatusUpdateFrequency": "2s",
        "nodeLeaseDurationSeconds": 8,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
    }


def component(node: Node) -> Component:
    """The daemon."""
    argv = [
        str(node.lab.kubernetes / "kubelet"),
        f"--config={node.directory}/kubelet.json",
        f"--kubeconfig={node.directory}/kubelet.kubeconfig",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        "--housekeeping-interval=30s",
    ]
    words = [*cgroups.join(node.cgroup), *filesystem.inside(node, argv)]
    ready = probes.answers(node.namespace, _HEALTH)
    return Component(f"kubelet-{node.name}", tuple(words), ready, node.namespace, ready_within_s=60.0)
