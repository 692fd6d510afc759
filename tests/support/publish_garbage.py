"""Run inside a lab: put garbage on every kind of subject, each by the role that may publish there.

Prints the subjects, one a line. The arguments are the lab's directory of secrets; and of a gateway pod, which has its
own subject only, a file with its token, its uid and that subject.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nats

from veg_contracts import permissions, subjects

SUBJECTS = {
    "watcher": ["veg.evt.k8s.pod.default.garbage"],
    "ovn-writer": ["veg.evt.ovn.gateway.default.garbage"],
    "kube-writer": ["veg.evt.kube.default.garbage"],
    "planner": [
        "veg.cmd.ovn.ovn-cluster.default.garbage",
        "veg.cmd.kube.default.garbage",
        subjects.config_subject("default/steady"),
    ],
}
TYPES = ["veg.k8s.object-changed.v1", "veg.ovn.ensure-nb.v1", "veg.kube.ensure-status.v1", "nonsense"]
BODIES = (b"", b"\x00\xff\xfe", b"{}", b'{"gateway": 5}', b"[" * 5000)
LARGE = b'"' + b"x" * (1024 * 1024 - 4096) + b'"'  # the server's max_payload is 1 MiB, headers included


async def publish(subjects: Sequence[str], bodies: Sequence[bytes], **credential: Any) -> None:
    client = await nats.connect(os.environ["VEG_NATS_URL"], connect_timeout=15, **credential)
    for subject in subjects:
        for body in bodies:
            await client.publish(subject, body)
            for kind in TYPES:
                headers = {"ce-specversion": "1.0", "ce-id": f"garbage/{kind}", "ce-source": "x", "ce-type": kind}
                await client.publish(subject, body, headers=headers | {"ce-time": "yesterday"})
        print(subject)
    await client.flush()
    await client.close()


async def main(secrets: Path, token: Path, pod_uid: str, subject: str) -> None:
    for role, listed in SUBJECTS.items():
        password = (secrets / f"nats-{role}").read_text().strip()  # once, at the start
        prefix = permissions.inbox_prefix(role).encode()
        await publish(listed, [*BODIES, LARGE], user=role, password=password, inbox_prefix=prefix)
    prefix = permissions.agent_inbox_prefix(pod_uid).encode()
    await publish([subject], BODIES, token=token.read_text().strip(), inbox_prefix=prefix)  # noqa: ASYNC240


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
