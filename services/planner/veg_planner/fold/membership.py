"""Which pods are selected by labels, kept up to date pod by pod: one pod that comes or goes costs one pod."""

from veg_contracts import names
from veg_contracts.objects import Namespace, Pod
from veg_planner.selectors import selects
from veg_planner.state import Member
from veg_planner.world import MEMBER, World, sends_traffic


def reassign(world: World, pod: Pod) -> set[str]:
    """Give a pod, as it is now, to the oldest gateway that selects it; the gateways whose report that changes.

    A pod that two gateways of one router select belongs to the oldest, so that its way out is no accident.
    """
    port = names.logical_switch_port(pod.namespace, pod.name)
    exists = world.find(Pod, pod.key) is not None
    claimants = _claimants(world, pod) if exists and sends_traffic(pod) else []
    return _assign(world, port, claimants)


def reassign_namespace(world: World, namespace: str) -> set[str]:
    """The same for all pods of a namespace, whose labels have changed."""
    return {gateway for pod in world.pods_in(namespace) for gateway in reassign(world, pod)}


def reassign_all(world: World) -> set[str]:
    """The same for all pods, after the selectors of a gateway have changed."""
    pods = sorted((stored.object for stored in world.objects(Pod.KIND)), key=lambda pod: pod.key)
    return {gateway for pod in pods if isinstance(pod, Pod) for gateway in reassign(world, pod)}


def _assign(world: World, port: str, claimants: list[str]) -> set[str]:
    before = world.member(port)
    after = Member(gateway=claimants[0], others=tuple(claimants[1:])) if claimants else None
    if before == after:
        return set()
    concerned = {*(before.others if before is not None else ()), *(after.others if after is not None else ())}
    lost = {gateway: world.lost_to(gateway) for gateway in concerned}
    if after is None:
        world.remove(MEMBER, port)
    else:
        world.put(MEMBER, port, after)
    return {gateway for gateway in concerned if world.lost_to(gateway) != lost[gateway]}


def _claimants(world: World, pod: Pod) -> list[str]:
    namespace = world.find(Namespace, pod.namespace)
    labels = namespace.labels if namespace is not None else None
    return [
        gateway
        for gateway, selecting in world.selecting()
        if selecting.router == pod.logical_router and selects(selecting.selectors, labels, pod.labels)
    ]
