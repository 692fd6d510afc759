"""The registry: every process of the lab, in the order of its start."""

from veg_lab import control_plane, nats, network, ovn, postgres, services
from veg_lab.errors import LabError
from veg_lab.nodes import inventory, lifecycle
from veg_lab.paths import Lab
from veg_lab.process import Component


def all_components(lab: Lab) -> dict[str, Component]:
    """By name."""
    parts = (
        network.components(lab),
        ovn.components(lab),
        postgres.components(lab),
        nats.components(lab),
        control_plane.components(lab),
        *(lifecycle.components(node) for node in inventory.nodes(lab)),
        services.helpers(lab),
        services.components(lab),
    )
    return {component.name: component for part in parts for component in part}


def find(lab: Lab, name: str) -> Component:
    """The component of that name.

    Raises:
        LabError: there is none; the message names those that are.
    """
    known = all_components(lab)
    if name not in known:
        raise LabError(f"no component {name!r}; there are {', '.join(known)}")
    return known[name]
