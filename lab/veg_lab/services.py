"""Our services, and the lab's stand-ins for kubelet and Kube-OVN: what they are started with."""

import sys
import time

from veg_lab import control_plane, kube_ovn, nats, netns, probes, process
from veg_lab.mini_kube_ovn.behaviours import VARIABLE
from veg_lab.nats import PORT
from veg_lab.paths import MANAGEMENT_ADDRESS, Lab
from veg_lab.process import Component

AGENT_SECRET = "veg-gw-agent-nats"  # noqa: S105  the name of a Secret
MANAGEMENT_NETWORK = "kube-system/veg-mgmt"
GATEWAY_IMAGE = "veg-gw-agent:lab"
_SETTLED_AFTER_S = 1.5
_HEALTH_PORTS = {"watcher": 9101, "planner": 9102, "ovn-writer": 9103, "kube-writer": 9104}


def helpers(lab: Lab) -> list[Component]:
    """The stand-ins. They come before our services: these expect a cluster that has nodes and subnets."""
    return [
        _helper(lab, "mini-kube-ovn", "kube-ovn", _subnet_is_ready(lab)),
        _helper(lab, "node-agent", "node-agent", _has_settled(lab, "node-agent")),
    ]


def _helper(lab: Lab, name: str, user: str, ready: probes.Probe) -> Component:
    environment = {"KUBECONFIG": str(lab.kubeconfig(user)), VARIABLE: kube_ovn.behaviour(lab).name}
    argv = (sys.executable, "-m", f"veg_lab.{name.replace('-', '_')}")
    return Component(name, argv, ready, lab.namespace(), environment, ready_within_s=30.0)


def _subnet_is_ready(lab: Lab) -> probes.Probe:
    condition = "--for=condition=Ready"
    return probes.succeeds(
        control_plane.kubectl(lab, "wait", condition, "subnet/ovn-default", "subnet/join", "--timeout=1s")
    )


def _has_settled(lab: Lab, name: str) -> probes.Probe:
    """It has nothing to ask, but a mistake in its surroundings would have ended it by now."""

    def probe() -> bool:
        found = process.running(lab, name)
        return found is not None and time.time() - found.since > _SETTLED_AFTER_S

    return probe


def components(lab: Lab) -> list[Component]:
    """The four services of the control plane."""
    kubernetes = {role: {"KUBECONFIG": str(lab.kubeconfig(role))} for role in ("watcher", "kube-writer")}
    planner = {
        "VEG_POSTGRES_URL": lab.postgres_url("veg_planner"),
        "VEG_GATEWAY_IMAGE": GATEWAY_IMAGE,
        "VEG_MANAGEMENT_NETWORK": MANAGEMENT_NETWORK,
        "VEG_AGENT_NATS_URL": f"nats://{MANAGEMENT_ADDRESS}:{PORT}",
        "VEG_AGENT_NATS_SECRET": AGENT_SECRET,
    }
    return [
        _service(lab, "planner", planner),
        _service(lab, "watcher", kubernetes["watcher"]),
        _service(lab, "ovn-writer", {"VEG_NB_REMOTE": lab.nb_remote}),
        _service(lab, "kube-writer", kubernetes["kube-writer"]),
    ]


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


def ensure_agent_secret(lab: Lab, namespace: str = "default") -> None:
    """Gateway pods read the bus's password from a Secret of their own namespace."""
    user = "--from-literal=user=gw-agent"
    password = f"--from-file=password={nats.password_file(lab, 'gw-agent')}"
    words = (
        "create",
        "secret",
        "generic",
        AGENT_SECRET,
        user,
        password,
        "--namespace",
        namespace,
        "--dry-run=client",
        "-o",
        "yaml",
    )
    manifest = netns.run(control_plane.kubectl(lab, *words))
    netns.run(control_plane.kubectl(lab, "apply", "-f", "-"), stdin=manifest)
