"""Run inside a lab: put garbage on every kind of subject, each by the role that may publish there.

Prints the subjects, one a line. The argument is the lab's directory of secrets.
"""

import asyncio
import os
import sys
from pathlib import Path

import nats

from veg_contracts import permissions, subjects

SUBJECTS = {
    "watcher": ["veg.evt.k8s.pod.default.garbage"],
    "ovn-writer": ["veg.evt.ovn.gateway.default.garbage"],
    "kube-writer": ["veg.evt.kube.default.garbage"],
    "gw-agent": ["veg.evt.agent.default.garbage.pod"],
    "planner": [
        "veg.cmd.ovn.ovn-cluster.default.garbage",
        "veg.cmd.kube.default.garbage",
        subjects.config_subject("default/steady"),
    ],
}
TYPES = ["veg.k8s.object-changed.v1", "veg.ovn.ensure-nb.v1", "veg.kube.ensure-status.v1", "nonsense"]
LARGE = b'"' + b"x" * (1024 * 1024 - 4096) + b'"'  # the server's max_payload is 1 MiB, headers included


async def publish_as(role: str, secrets: Path) -> None:
    client = await nats.connect(
        os.environ["VEG_NATS_URL"],
        user=role,
        password=(secrets / f"nats-{role}").read_text().strip(),  # once, at the start
        inbox_prefix=permissions.inbox_prefix(role).encode(),
    )
    for subject in SUBJECTS[role]:
        for body in (b"", b"\x00\xff\xfe", b"{}", b'{"gateway": 5}', b"[" * 5000, LARGE):
            await client.publish(subject, body)
            for kind in TYPES:
                headers = {"ce-specversion": "1.0", "ce-id": f"garbage/{kind}", "ce-source": "x", "ce-type": kind}
                await client.publish(subject, body, headers=headers | {"ce-time": "yesterday"})
        print(subject)
    await client.flush()
    await client.close()


async def main(secrets: str) -> None:
    for role in SUBJECTS:
        await publish_as(role, Path(secrets))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
