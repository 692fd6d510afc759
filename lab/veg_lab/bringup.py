"""`up`: from nothing, or from any half of a lab, to a whole one. Every step makes only what is missing."""

import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from veg_lab import assets, control_plane, kube_ovn, nats, netns, network, ovn, postgres, priority, process, services
from veg_lab.errors import LabError
from veg_lab.lock import exclusive
from veg_lab.nodes import containerd, inventory, lifecycle
from veg_lab.nodes.inventory import Node
from veg_lab.paths import REPOSITORY, Lab
from veg_lab.process import Component
from veg_lab.progress import say, step

_APPLY_WITHIN_S = 30.0
_MANIFESTS = REPOSITORY / "lab" / "manifests"


def up(lab: Lab, *, infra_only: bool) -> None:
    """Bring the lab up and return when all of it is ready."""
    began = time.monotonic()
    with exclusive(lab):
        images = assets.ensure(lab)
        kube_ovn.keep(lab)
        if refused := containerd.missing(lab):
            raise LabError(refused)
        with step("networks"):
            network.ensure(lab)
        made = inventory.base(lab)
        with step("nodes: networks and image stores"):
            _in_parallel([partial(_prepare_node, node=node, images=images) for node in made], lab)
        _in_parallel([_start_external, _start_ovn, _start_postgres, _start_nats, _start_control_plane], lab)
        _in_parallel([partial(_start_node, node=node) for node in made], lab)
        ovn.await_flows(lab)
        _apply_objects(lab)
        _start_together(lab, services.helpers(lab))
        if not infra_only:
            _start_together(lab, services.components(lab))
    say(f"the lab {lab.name!r} is up ({time.monotonic() - began:.1f} s)")


def _prepare_node(_lab: Lab, node: Node, images: Path) -> None:
    lifecycle.prepare(node, images)


def _start_node(_lab: Lab, node: Node) -> None:
    lifecycle.start_runtime(node)
    lifecycle.start_chassis(node)
    lifecycle.start_kubelet(node)


def _in_parallel(jobs: Sequence[Callable[[Lab], None]], lab: Lab) -> None:
    """Run all to their end, then fail with the first failure, so that a second `up` meets nothing half done."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        futures = [pool.submit(job, lab) for job in jobs]
    for future in futures:
        future.result()


def _start_each(lab: Lab, wanted: Sequence[Component]) -> None:
    for component in wanted:
        process.start_aloud(lab, component)


def _start_together(lab: Lab, wanted: Sequence[Component]) -> None:
    _in_parallel([partial(_start_each, wanted=[component]) for component in wanted], lab)


def _start_external(lab: Lab) -> None:
    _start_each(lab, network.components(lab))


def _start_ovn(lab: Lab) -> None:
    if missing := priority.missing():
        say(missing)
    ovn.make_databases(lab)
    _start_each(lab, ovn.components(lab))


def _start_postgres(lab: Lab) -> None:
    with step("postgres: data directory"):
        postgres.prepare(lab)
    _start_each(lab, postgres.components(lab))
    postgres.ensure_database(lab)
    postgres.migrate(lab)


def _start_nats(lab: Lab) -> None:
    changed = nats.prepare(lab)
    [server] = nats.components(lab)
    before = process.running(lab, server.name)
    process.start_aloud(lab, server)
    if changed and before is not None:
        process.send(before.pid, signal.SIGHUP)


def _start_control_plane(lab: Lab) -> None:
    control_plane.prepare(lab)
    etcd, api_server, *others = control_plane.components(lab)
    _start_each(lab, [etcd, api_server])
    _start_together(lab, others)


def _apply_objects(lab: Lab) -> None:
    """CRDs first, then what needs them."""
    with step("CRDs"):
        _apply(lab, kube_ovn.definitions(lab))
        _kubectl(lab, "wait", "--for=condition=Established", "crd", "--all", "--timeout=20s")
    with step("RBAC and the objects of lab/manifests"):
        rights = REPOSITORY / "charts" / "vpc-egress-gateway" / "files" / "rbac"
        _apply(lab, [_MANIFESTS, rights / f"{kube_ovn.api_group(lab)}.yaml", *kube_ovn.controller(lab)])


def _apply(lab: Lab, paths: Sequence[Path]) -> None:
    if paths:
        _kubectl(lab, "apply", *(f"--filename={path}" for path in paths))


def _kubectl(lab: Lab, *words: str) -> None:
    """Call kubectl, and again while the API server does not know a kind or a namespace yet.

    It makes its own namespaces a moment after it says that it is ready, and a definition has no conditions at first.
    """
    deadline = time.monotonic() + _APPLY_WITHIN_S
    while True:
        try:
            netns.run(control_plane.kubectl(lab, *words))
        except LabError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return
