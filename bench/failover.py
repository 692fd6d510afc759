"""How long traffic is out when the gateway pod that serves it fails, and where that time goes.

Brings up a lab of its own with a gateway of a custom VPC (static routes) and two of the default VPC (policies, one with
trafficPolicy Local), all dual stack, at 100 ms x 3. Kills the pod that serves a client, in four ways (Local: link down
only), again and again, under a 10 ms ping of each family, and measures from the last good packet to the first good one.
Prints a table and writes `results/failover.md`. With --beside, the lab behaves as that version of Kube-OVN, without
trafficPolicy Local, and the table is `results/failover-beside-VERSION.md`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]

import traffic  # noqa: E402  # found by the line above
from southbound import Southbound  # noqa: E402
from support.beside import WORLDS, World, ask_for_port, ours  # noqa: E402
from support.bfd import patch_vpc  # noqa: E402
from support.clients import await_running, client_pod  # noqa: E402
from support.kills import WAYS  # noqa: E402
from support.lab import Lab  # noqa: E402
from support.vpcs import attachment, egress, subnet, vpc  # noqa: E402

_KILLS_PER_HIT_MAX: Final = 5  # a victim may serve nobody, but not for ever
_WINDOW_S: Final = 1.5  # an outage longer than this is measured as this long, and fails the target anyway
_BFD: Final = {"enabled": True, "minRX": 100, "minTX": 100, "multiplier": 3}
_CLIENTS: Final = 4
_BLINK_S: Final = 0.1  # what is shorter was no detection: the pod went on forwarding until its traffic was moved
# A speaker that was killed may come back on another node than the clients, and a node that fails takes them along.
_LOCAL_WAY: Final = "link down"
# Not on the node whose chassis runs the BFD sessions: what its death costs is measured by tests/e2e/test_chassis.py.
_NODES: Final = ("kube-ovn-worker", "kube-ovn-worker2")
_HOSTNAME: Final = "kubernetes.io/hostname"
GATEWAYS: Final = {"static routes": "static", "policies": "policy", "local policies": "local"}
# Gateway -> its subnet, and what its spec has that no other has.
_PLACES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "static": ("benchin", {"vpc": "bench"}),
    "policy": ("benchdef", {}),
    "local": ("benchloc", {"trafficPolicy": "Local"}),
}
_VPCS: Final = ("bench", "ovn-cluster")
_PORT: Final = "10.255.255.255,fdff::1"
# Milliseconds: p99 at most, and none as long as the second one.
TARGETS: Final = {"static routes": (500, 1000), "policies": (600, 1000), "local policies": (600, 1000)}


@dataclass(frozen=True, slots=True)
class Sample:
    """One kill as one family saw it; milliseconds. `parts` are the steps as the log and the database tell them."""

    how: str
    way: str
    family: str
    outage: float
    parts: dict[str, float]


@dataclass
class Bench:
    lab: Lab
    seen: traffic.Traffic
    southbound: Southbound
    samples: list[Sample] = field(default_factory=list)

    def kill(self, how: str, way: str) -> None:
        """Kill the pod that serves the first client, once; then wait until all is well again."""
        name = GATEWAYS[how]
        pods = self._pods(name)
        self.seen.look()
        flow = traffic.Flow(f"{name}0", "4")
        victim = next(pod for pod, ips in pods.items() if self.seen.sources[flow] in ips)
        gone = self._clients_beside(victim) if way == "node fail" else set()  # a node takes its clients along
        served = [
            flow
            for flow, source in self.seen.sources.items()
            if flow.client.startswith(name) and flow.client not in gone and source in pods[victim]
        ]
        kill = WAYS[way](self.lab, victim)
        began = time.time()
        kill.do()
        time.sleep(_WINDOW_S)
        self.seen.look()
        until = time.time()
        for family in ("4", "6"):
            outages = [self.seen.outage(flow, began, until - 0.2) for flow in served if flow.family == family]
            if outages:
                outage = max(outages)
                parts = self._parts(name, outage, pods[victim]) if outage[0] > _BLINK_S else {}
                self.samples.append(Sample(how, way, family, outage[0] * 1000, parts))
        kill.undo()
        self.lab.ready(name, 2)
        time.sleep(0.3)

    def _clients_beside(self, pod: str) -> set[str]:
        """The pods on the node of a gateway pod, clients among them."""
        nodes = {item["metadata"]["name"]: item["spec"].get("nodeName") for item in self.lab.get("pod")["items"]}
        return {name for name, node in nodes.items() if node == nodes[pod]}

    def hits(self, how: str, way: str) -> int:
        """How often each family was hit at least."""
        hit = [sample.family for sample in self.samples if (sample.how, sample.way) == (how, way)]
        return min(hit.count(family) for family in ("4", "6"))

    def _pods(self, name: str) -> dict[str, set[str]]:
        """Each gateway pod with its external addresses."""
        found = {}
        for pod in self.lab.gateway_pods(name):
            networks = json.loads(pod["metadata"]["annotations"]["k8s.v1.cni.cncf.io/network-status"])
            found[pod["metadata"]["name"]] = {ip for network in networks for ip in network.get("ips", [])}
        return found

    def _parts(self, name: str, outage: tuple[float, float], peers: set[str]) -> dict[str, float]:
        """When what was known, in milliseconds after the last good packet. An outage is as in `traffic`."""
        lasted, began = outage
        events = self.lab.sql(
            "select type, data, time, correlation_id from event where time > to_timestamp(%(began)s) "
            "and data->>'gateway' = %(gateway)s order by position",
            began=began,
            gateway=f"default/{name}",
        )
        parts: dict[str, float] = {}

        def note(part: str, at: datetime) -> None:
            parts.setdefault(part, (at.timestamp() - began) * 1000)

        if heard := self.southbound.down(began, peers):
            note("detected: southbound row down", datetime.fromtimestamp(heard, UTC))
        for event in events:
            data = event["data"]
            if event["type"].endswith("session-changed.v1") and data["status"] == "down":
                note("northd: NB row down", datetime.fromisoformat(data["at"]))
                note("event in the log", event["time"])
            elif "northd: NB row down" not in parts:
                continue
            elif event["type"].endswith("command-applied.v1") and data["part"] == "nb":
                note("planned, command carried out: NB rows written", event["time"])
            elif event["type"].endswith("rows-programmed.v1"):
                note("flows on all chassis (hv_cfg)", event["time"])
        return parts | {"traffic is back": lasted * 1000}


def percentile(values: list[float], share: float) -> float:
    """The smallest value that so great a share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(len(ordered) * share * 1000) // 1000) - 1))]


def table(samples: list[Sample]) -> list[str]:
    """Rows of Markdown."""
    lines = [
        "| rows | way | family | hits | min | median | p99 | max |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups = sorted(
        {(sample.how, sample.way, sample.family) for sample in samples}, key=lambda key: (key[0], key[1], key[2])
    )
    for how, way, family in groups:
        values = [s.outage for s in samples if (s.how, s.way, s.family) == (how, way, family)]
        numbers = (min(values), statistics.median(values), percentile(values, 0.99), max(values))
        cells = " | ".join(f"{number:.0f} ms" for number in numbers)
        lines.append(f"| {how} | {way} | IPv{family} | {len(values)} | {cells} |")
    for how in GATEWAYS:
        if values := [sample.outage for sample in samples if sample.how == how]:
            p99, most = percentile(values, 0.99), max(values)
            lines.append(
                f"| {how} | all | both | {len(values)} | {min(values):.0f} ms | {statistics.median(values):.0f} ms "
                f"| {p99:.0f} ms | {most:.0f} ms |"
            )
    return lines


def parts_table(samples: list[Sample]) -> list[str]:
    lines = ["| rows | step, after the last good packet | median | max |", "|---|---|---|---|"]
    for how in GATEWAYS:
        mine = [sample for sample in samples if sample.how == how]
        for part in dict.fromkeys(part for sample in mine for part in sample.parts):
            values = [sample.parts[part] for sample in mine if part in sample.parts]
            lines.append(f"| {how} | {part} | {statistics.median(values):.0f} ms | {max(values):.0f} ms |")
    return lines


def missed(samples: list[Sample], targets: Mapping[str, tuple[int, int]]) -> list[str]:
    """The targets that were not met."""
    found = []
    for how, (p99_max, most_max) in targets.items():
        values = [sample.outage for sample in samples if sample.how == how]
        if values and percentile(values, 0.99) > p99_max:
            found.append(f"{how}: p99 {percentile(values, 0.99):.0f} ms, at most {p99_max} ms is the target")
        if values and max(values) >= most_max:
            found.append(f"{how}: one outage of {max(values):.0f} ms, less than {most_max} ms is the target")
    return found


def networks() -> list[dict[str, Any]]:
    gateway = "172.17.0.1,fc00:172:17::1"
    excluded = ["172.17.0.0..172.17.127.255", "fc00:172:17::1..fc00:172:17::1:ffff"]
    external = {"provider": "benchext.default", "gateway": gateway, "excludeIps": excluded}
    return [
        *map(vpc, _VPCS),
        subnet("benchin", "Dual", "192.168.8.0/24,fd00:8::/64", vpc="bench"),
        subnet("benchdef", "Dual", "10.46.0.0/24,fd00:46::/64"),
        subnet("benchloc", "Dual", "10.45.0.0/24,fd00:45::/64"),
        attachment("benchext"),
        subnet("benchext", "Dual", "172.17.0.0/16,fc00:172:17::/64", **external),
    ]


@contextmanager
def bench_lab(lab: Lab, **environment: str) -> Iterator[Lab]:
    """A lab of its own. The planner is told by `environment`, e.g. not to hold back what is killed again and again."""
    os.environ.update(environment)
    try:
        subprocess.run(lab.command("up"), env=lab.environment, check=True)
        yield lab
    finally:
        subprocess.run(lab.command("down"), env=lab.environment, check=True)


def set_up(lab: Lab, places: Mapping[str, tuple[str, dict[str, str]]], world: World | None) -> dict[str, str]:
    """Networks, gateways, and clients; the clients by name."""
    lab.apply(*networks())
    for name in _VPCS:
        if world is None:
            patch_vpc(lab, name, {"enabled": True, "ip": _PORT})
        else:
            ask_for_port(lab, world, name, _PORT)
    for name, (network, spec) in places.items():
        sources = [{"snat": True, "subnets": [network]}]
        common = {"replicas": 2, "externalSubnet": "benchext", "internalSubnet": network, "bfd": _BFD}
        common["nodeSelector"] = [{"matchExpressions": [{"key": _HOSTNAME, "operator": "In", "values": list(_NODES)}]}]
        wanted: dict[str, object] = {"policies": sources, **common, **spec}
        lab.apply(egress(name, **wanted) if world is None else ours(world, name, **wanted))
    for name in places:
        lab.ready(name, 2)
    nodes = [pod["spec"]["nodeName"] for pod in lab.gateway_pods("local")] if "local" in places else []
    clients = {
        f"{name}{number}": client_pod(
            f"{name}{number}", subnet=where, node=nodes[number % 2] if name == "local" else ""
        )
        for name, (where, _) in places.items()
        for number in range(_CLIENTS)
    }
    lab.apply(*clients.values())
    keys = {name: f"default/{name}" for name in clients}
    await_running(lab, *keys.values())
    return keys


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=25, help="hits for each way, kind of rows and family (%(default)s)")
    parser.add_argument("--way", action="append", choices=WAYS, help="only this way; may be given again")
    parser.add_argument("--rows", action="append", choices=GATEWAYS, help="only this kind of rows")
    parser.add_argument("--beside", choices=WORLDS, help="in a lab that behaves as that version of Kube-OVN")
    parser.add_argument("--lab", default="vegbench", help="name of the lab (%(default)s)")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results", help="where the table goes")
    options = parser.parse_args()
    world = WORLDS[options.beside] if options.beside else None
    ways, kinds = options.way or list(WAYS), options.rows or list(GATEWAYS)
    if world is not None:
        kinds = [how for how in kinds if how != "local policies"]
    places = {GATEWAYS[how]: _PLACES[GATEWAYS[how]] for how in kinds}
    lab = Lab(options.lab, **(world.settings if world is not None else {}))
    with bench_lab(lab, VEG_FLAP_COUNT="0"):
        clients = set_up(lab, places, world)
        with traffic.running(lab.name, clients, lab.run_directory / "probes") as seen:
            bench = Bench(lab, seen, Southbound(f"unix:{lab.run_directory}/ovn/sb.sock"))
            cases = [(how, way) for way in ways for how in kinds if how != "local policies" or way == _LOCAL_WAY]
            _run(bench, cases, options.runs)
    report = [*table(bench.samples), "", *parts_table(bench.samples)]
    print("\n".join(report))
    failures = missed(bench.samples, TARGETS if world is None else dict.fromkeys(TARGETS, TARGETS["static routes"]))
    name = f"failover-beside-{world.version}" if world is not None else "failover"
    _write(options.results / name, report, bench.samples, failures)
    for failure in failures:
        print(f"MISSED: {failure}")
    return 1 if failures else 0


def _run(bench: Bench, cases: list[tuple[str, str]], runs: int) -> None:
    """Each case until every family was hit so often: who serves a client in one may serve nobody in the other."""
    total, began = len(cases) * runs, time.monotonic()
    for number, (how, way) in enumerate(cases):
        kills = 0
        while bench.hits(how, way) < runs:
            if kills == _KILLS_PER_HIT_MAX * runs:
                raise SystemExit(f"{how}, {way}: {kills} kills hit no client often enough: where do they stand?")
            bench.kill(how, way)
            kills += 1
            done = number * runs + bench.hits(how, way)
            left_s = (time.monotonic() - began) / max(done, 1) * (total - done)
            last = ", ".join(f"IPv{s.family} {s.outage:.0f} ms" for s in bench.samples[-2:])
            print(f"{done}/{total} {how}, {way}: {last} ({left_s / 60:.1f} min left)", flush=True)


def _write(results: Path, report: list[str], samples: list[Sample], failures: list[str]) -> None:
    results.parent.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    command = " ".join(["bench/failover.py", *sys.argv[1:]])
    how = f"`{command}`, {datetime.now(UTC).date()}, commit {commit.stdout.strip()}, {os.cpu_count()} cores"
    what = "100 ms x 3, 10 ms ping. Outage: from the last good packet to the first good one."
    head = ["# Failover", "", f"{how}, {what}", ""]
    verdict = ["", *(f"Missed: {failure}" for failure in failures)] if failures else ["", "All targets were met."]
    results.with_name(f"{results.name}.md").write_text("\n".join([*head, *report, *verdict, ""]))
    lines = [
        json.dumps({"rows": s.how, "way": s.way, "family": s.family, "outage_ms": round(s.outage, 1)} | s.parts)
        for s in samples
    ]
    results.with_name(f"{results.name}.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
