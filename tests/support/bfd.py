"""BFD ports of Vpcs, and both ends of a gateway's sessions."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.lab import Lab, eventually
from support.northbound import table


def patch_vpc(lab: Lab, name: str, port: dict[str, Any] | None) -> None:
    """Set `Vpc.spec.bfdPort`; fields that are not named stay, None takes all of it away."""
    lab.kubectl("patch", "vpc", name, "--type=merge", "-p", json.dumps({"spec": {"bfdPort": port}}))


@contextmanager
def port(lab: Lab, vpc: str, ip: str) -> Iterator[None]:
    """The Vpc has a BFD port meanwhile."""
    patch_vpc(lab, vpc, {"enabled": True, "ip": ip})
    try:
        eventually(lambda: status(lab, vpc).get("ip") == ip, 20, f"Vpc {vpc} has a BFD port")
        yield
    finally:
        patch_vpc(lab, vpc, None)


def status(lab: Lab, vpc: str) -> dict[str, Any]:
    """`Vpc.status.bfdPort`; empty when there is none."""
    found: dict[str, Any] = lab.get("vpc", vpc).get("status", {}).get("bfdPort") or {}
    return found


def sessions(lab: Lab, gateway: str) -> dict[str, str]:
    """Address of the pod -> the status that OVN gives."""
    condition = f'external_ids:vpc-egress-gateway="{gateway}"'
    return {row["dst_ip"]: row["status"] for row in table(lab, "BFD", "dst_ip", "status", condition=condition)}


def spoken(lab: Lab, pod: str) -> dict[str, Any]:
    """The first session of a pod of namespace default as its speaker tells it now."""
    path = Path(f"/proc/{lab.container_pid(pod, 'bfdd')}/root/run/veg-bfd/bfdd.sock")
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(5)
        made.connect(str(path))
        made.sendall(b"events\n")
        with made.makefile() as lines:
            found: dict[str, Any] = json.loads(lines.readline())
    return found
