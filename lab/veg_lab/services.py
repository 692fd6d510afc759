"""Our services, and the lab's stand-ins for Kube-OVN: what they are started with."""

import os
import sys

from veg_lab import control_plane, image_store, kube_ovn, nats, probes
from veg_lab.mini_kube_ovn.behaviours import VARIABLE
from veg_lab.nats import PORT
from veg_lab.nodes.inventory import nodes
from veg_lab.paths import Lab
from veg_lab.process import Component

MANAGEMENT_NETWORK = "kube-system/veg-mgmt"
BUS_SERVICE = "10.96.42.22"  # of lab/manifests/nats.yaml
_HEALTH_PORTS = {"watcher": 9101, "planner": 9102, "ovn-writer": 9103, "kube-writer": 9104, "bus-auth": 9105}


def helpers(lab: Lab) -> list[Component]:
    """The stand-ins. They come before our services: these expect a cluster that has nodes and subnets."""
    return [
        _helper(lab, "mini-kube-ovn", "mini_kube_ovn", _subnet_is_ready(lab)),
        _helper(lab, "kube-ovn-cni", "cni", _serves_all(lab)),
    ]


def _helper(lab: Lab, name: str, module: str, ready: probes.Probe) -> Component:
    environment = {"KUBECONFIG": str(lab.kubeconfig("kube-ovn")), VARIABLE: kube_ovn.behaviour(lab).name}
    argv = (sys.executable, "-m", f"veg_lab.{module}")
    return Component(name, argv, ready, lab.namespace(), environment, ready_within_s=30.0)


def _subnet_is_ready(lab: Lab) -> probes.Probe:
    condition = "--for=condition=Ready"
    return probes.succeeds(
        control_plane.kubectl(lab, "wait", condition, "subnet/ovn-default", "subnet/join", "--timeout=1s")
    )


def _serves_all(lab: Lab) -> probes.Probe:
    """Each node's runtime finds its plugin's daemon."""
    sockets = [node.cni_socket for node in nodes(lab)]
    return lambda: all(probes.listens(socket)() for socket in sockets)


def components(lab: Lab) -> list[Component]:
    """The five services of the control plane."""
    kubernetes = {role: {"KUBECONFIG": str(lab.kubeconfig(role))} for role in ("watcher", "kube-writer", "bus-auth")}
    keys = {
        "VEG_ISSUER_SEED_FILE": str(nats.issuer_seed_file(lab)),
        "VEG_XKEY_SEED_FILE": str(nats.xkey_seed_file(lab)),
    }
    planner = {
        "VEG_POSTGRES_URL": lab.postgres_url("veg_planner"),
        "VEG_GATEWAY_IMAGE": image_store.reference("gw-agent"),
        **cluster_settings(lab),
    }
    return [
        _service(lab, "planner", planner),
        _service(lab, "watcher", kubernetes["watcher"]),
        _service(lab, "ovn-writer", {"VEG_NB_REMOTE": lab.nb_remote, "VEG_SB_REMOTE": lab.sb_remote}),
        _service(lab, "kube-writer", kubernetes["kube-writer"]),
        _service(lab, "bus-auth", kubernetes["bus-auth"] | keys),
    ]


def cluster_settings(lab: Lab) -> dict[str, str]:
    """Settings that depend on what the cluster is: the planner has them, and `vegctl preflight` judges them."""
    return {
        kube_ovn.API_GROUP: kube_ovn.api_group(lab),
        "VEG_MANAGEMENT_NETWORK": MANAGEMENT_NETWORK,
        "VEG_AGENT_NATS_URL": f"nats://{BUS_SERVICE}:{PORT}",
        # Also where Kube-OVN makes the ports: its OVN has a patch, the lab's has not.
        "VEG_BFD_RELAY": os.environ.get("VEG_BFD_RELAY", "on"),
    }


def _service(lab: Lab, role: str, own: dict[str, str]) -> Component:
    address = f"127.0.0.1:{_HEALTH_PORTS[role]}"
    environment = {
        "VEG_NATS_URL": f"nats://127.0.0.1:{PORT}",
        "VEG_NATS_USER": role,
        "VEG_NATS_PASSWORD_FILE": str(nats.password_file(lab, role)),
        "VEG_HEALTH_ADDRESS": address,
        kube_ovn.API_GROUP: kube_ovn.api_group(lab),
        **own,
    }
    argv = (sys.executable, "-m", f"veg_{role.replace('-', '_')}")
    ready = probes.answers(lab.namespace(), f"http://{address}/readyz")
    return Component(role, argv, ready, lab.namespace(), environment, ready_within_s=30.0)
