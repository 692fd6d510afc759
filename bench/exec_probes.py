"""What an exec probe costs on a real node: of the gateway's probes the program is the smallest part.

Brings up a lab of its own with no service, and runs the same pods of the gateway's image twice: without a probe, and
with `gw-ready` as an exec probe each second. The CPU time of the difference, divided by the number of probes, is what
one costs, split by who spends it: kubelet, containerd, and its shims with what they start (runc, and the program
itself). Prints the table and writes `results/exec-probes.md`.
"""

import argparse
import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

from support.lab import Lab, eventually  # noqa: E402  # found by the line above

from veg_lab import image_store, paths, usage  # noqa: E402

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_READY: Final = "mkdir -p /tmp/state && echo ready yes >/tmp/state/readiness && exec sleep infinity"
_PERIOD_S: Final = 1
_PARTS: Final = {"kubelet": "kubelet", "containerd": "containerd", "containerd-shim": "shims, runc, the program"}


def pods(count: int, *, probed: bool) -> list[dict[str, Any]]:
    """Pods that only wait, with the probe or without."""
    probe = {"exec": {"command": ["gw-ready"]}, "periodSeconds": _PERIOD_S, "timeoutSeconds": 10}
    container: dict[str, Any] = {
        "name": "gateway",
        "image": image_store.reference("gw-agent"),
        "command": ["bash", "-c", _READY],
        "env": [{"name": "VEG_STATE_DIR", "value": "/tmp/state"}],  # noqa: S108  in the pod
        "securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
    }
    if probed:
        container["readinessProbe"] = probe
    spec = {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, "containers": [container]}
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"probed-{number}", "namespace": "default"},
            "spec": spec,
        }
        for number in range(count)
    ]


def seconds(lab: paths.Lab) -> dict[str, float]:
    """CPU time so far, with that of the children that have ended, by who spent it."""
    spent: dict[str, float] = dict.fromkeys(_PARTS.values(), 0.0)
    for pid in usage.processes(lab):
        with suppress(OSError, IndexError):  # it ended while we looked
            head, _, tail = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
            name = head.partition("(")[2]
            part = next((_PARTS[key] for key in sorted(_PARTS, reverse=True) if name.startswith(key)), None)
            if part is not None:
                spent[part] += sum(map(int, tail.split()[11:15])) / _TICKS_PER_S
    return spent


def measure(lab: Lab, made: paths.Lab, count: int, over_s: float, *, probed: bool) -> dict[str, float]:
    """CPU seconds, by who spent them, over `over_s`, while the pods run; they are gone afterwards."""
    lab.apply(*pods(count, probed=probed))
    lab.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=120s")
    time.sleep(5)
    before = seconds(made)
    for left_s in range(int(over_s), 0, -10):
        print(f"{'with' if probed else 'without'} probes: {left_s} s left", flush=True)
        time.sleep(min(10, left_s))
    after = seconds(made)
    lab.kubectl("delete", "pod", "--all", "--now", "--wait=true")
    eventually(lambda: not lab.kubectl("get", "pod", "-o", "name"))
    return {part: after[part] - before[part] for part in before}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=12, help="how many pods (%(default)s)")
    parser.add_argument("--over", type=float, default=60, help="seconds that each of the two takes (%(default)s)")
    parser.add_argument("--lab", default="vegprobes", help="name of the lab (%(default)s)")
    options = parser.parse_args()
    lab = Lab(options.lab)
    made = paths.Lab(options.lab, Path(os.environ.get("VEG_CACHE") or "/var/cache/vpc-egress-gateway"))
    try:
        subprocess.run(lab.command("up", "--infra"), env=lab.environment, check=True)
        without = measure(lab, made, options.pods, options.over, probed=False)
        probed = measure(lab, made, options.pods, options.over, probed=True)
    finally:
        subprocess.run(lab.command("down"), env=lab.environment, check=False)
    probes = options.pods * options.over / _PERIOD_S
    rows = [(part, (probed[part] - without[part]) * 1000 / probes) for part in _PARTS.values()]
    table = ["| spent by | CPU for each probe |", "|---|---|", *(f"| {part} | {cost:.1f} ms |" for part, cost in rows)]
    table.append(f"| all | {sum(cost for _, cost in rows):.1f} ms |")
    print("\n".join(table))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    what = f"`bench/exec_probes.py`, {datetime.now(UTC).date()}, commit {commit.stdout.strip()}, {os.cpu_count()} cores"
    size = f"{options.pods} pods on three nodes, one probe a second each, over {options.over:.0f} s."
    (ROOT / "bench" / "results" / "exec-probes.md").write_text(
        "\n".join(["# Exec probes", "", f"{what}: {size}", "", *table, ""])
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
