"""Whether a gateway is ever taken for dead that is not: many gateways, all cores busy, and no session may go down.

Brings up a lab of its own with gateways at the default timers and as many at 100 ms x 3, in the default VPC, keeps
every core busy with a load generator (`--no-load` leaves it out), and waits. Every change of a BFD session that the log
has from then on is a false failover. Prints them, and writes `results/soak.md`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

from failover import bench_lab  # noqa: E402  # found by the line above
from support.lab import Lab  # noqa: E402
from support.vpcs import egress  # noqa: E402

_TIMERS: Final[dict[str, dict[str, int]]] = {
    "default timers": {},
    "100 ms x 3": {"minRX": 100, "minTX": 100, "multiplier": 3},
}
_NAMES: Final = {"default timers": "slow", "100 ms x 3": "fast"}


@contextmanager
def load(busy: bool) -> Iterator[None]:
    """A process that never waits, on each core."""
    words = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(words) for _ in range((os.cpu_count() or 1) if busy else 0)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def set_up(lab: Lab, gateways: int) -> dict[str, str]:
    """The gateways, each with its kind of timers, once all of them are ready."""
    patch = json.dumps({"spec": {"bfdPort": {"enabled": True, "ip": "10.255.255.255"}}})
    lab.kubectl("patch", "vpc", "ovn-cluster", "--type=merge", "-p", patch)
    kinds = {f"{_NAMES[kind]}{number}": kind for kind in _TIMERS for number in range(gateways)}
    lab.apply(*(_gateway(number, name, kind) for number, (name, kind) in enumerate(kinds.items())))
    for name in kinds:
        lab.ready(name, 1)
    return kinds


def _gateway(number: int, name: str, kind: str) -> dict[str, Any]:
    policies = [{"snat": True, "ipBlocks": [f"10.16.{200 + number}.0/24"]}]
    return egress(name, replicas=1, externalSubnet="macvlan1", bfd={"enabled": True} | _TIMERS[kind], policies=policies)


def changes(lab: Lab, since: int) -> list[dict[str, Any]]:
    """Every change of a session since that position of the log."""
    return lab.sql(
        "select data->>'gateway' as gateway, data->>'status' as status, data->>'at' as at from event "
        "where position > %(since)s and type = 'veg.ovn.session-changed.v1' order by position",
        since=since,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="how long (%(default)s)")
    parser.add_argument("--gateways", type=int, default=8, help="of each kind of timers (%(default)s)")
    parser.add_argument("--no-load", action="store_true", help="leave the cores alone")
    parser.add_argument("--lab", default="vegsoak", help="name of the lab (%(default)s)")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", help="where the result goes")
    options = parser.parse_args()
    with bench_lab(Lab(options.lab)) as lab:
        kinds = set_up(lab, options.gateways)
        since = lab.sql("select max(position) as position from event")[0]["position"]
        with load(not options.no_load):
            found = _watch(lab, since, options.minutes * 60)
    report = _report(kinds, found, options)
    print("\n".join(report))
    options.results.mkdir(parents=True, exist_ok=True)
    name = "soak-no-load.md" if options.no_load else "soak.md"
    (options.results / name).write_text("\n".join([*report, ""]))
    return 1 if found else 0


def _watch(lab: Lab, since: int, seconds: float) -> list[dict[str, Any]]:
    end, found = time.monotonic() + seconds, list[dict[str, Any]]()
    while (left_s := end - time.monotonic()) > 0:
        time.sleep(min(60, left_s))
        found = changes(lab, since)
        average = os.getloadavg()[0]
        print(f"{max(0, left_s - 60) / 60:.0f} min left: {len(found)} changes, load average {average:.1f}", flush=True)
    return found


def _report(kinds: dict[str, str], found: list[dict[str, Any]], options: argparse.Namespace) -> list[str]:
    words = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    cores = os.cpu_count()
    load_text = "no load of our own" if options.no_load else f"{cores} processes that never wait"
    lines = [
        "# Soak",
        "",
        f"{datetime.now(UTC).date()}, commit {commit}: {options.minutes:g} minutes, {cores} cores, {load_text}.",
        "",
        "| timers | gateways | changes of sessions |",
        "|---|---|---|",
    ]
    for kind in _TIMERS:
        names = {f"default/{name}" for name, its in kinds.items() if its == kind}
        mine = [change for change in found if change["gateway"] in names]
        lines.append(f"| {kind} | {len(names)} | {len(mine)} |")
    return [*lines, "", *(f"- {change['at']} {change['gateway']} {change['status']}" for change in found[:50])]


if __name__ == "__main__":
    sys.exit(main())
