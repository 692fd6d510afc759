"""kubelet of a node: its identity, its configuration, and the component."""

import json
from pathlib import Path

from veg_lab import netns, probes
from veg_lab.control_plane import api_server_url, kubeconfig
from veg_lab.nodes import cgroups, containerd, filesystem
from veg_lab.nodes.inventory import Node
from veg_lab.process import Component

_HEALTH = "http://127.0.0.1:10248/healthz"


def prepare(node: Node) -> None:
    """The key by which the API server knows the node, a kubeconfig, and the configuration."""
    certificate = node.directory / "kubelet.crt"
    if not certificate.exists():
        _issue(node, certificate)
    credentials = {"client-certificate": str(certificate), "client-key": f"{node.directory}/kubelet.key"}
    text = kubeconfig(node.lab, api_server_url(), "kubelet", credentials)
    (node.directory / "kubelet.kubeconfig").write_text(text)
    (node.directory / "kubelet.json").write_text(json.dumps(configuration(node), indent=1))


def _issue(node: Node, certificate: Path) -> None:
    pki, draft = node.lab.run / "pki", certificate.with_suffix(".new")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650")
    files = ("-keyout", f"{node.directory}/kubelet.key", "-out", str(draft))
    signer = ("-CA", f"{pki}/ca.crt", "-CAkey", f"{pki}/ca.key", "-addext", "extendedKeyUsage=clientAuth")
    subject = f"/O=system:nodes/CN=system:node:{node.name}"
    netns.run(["openssl", "req", "-x509", *curve, *files, *signer, "-subj", subject])
    draft.rename(certificate)


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
