"""Whether a source of a custom VPC is sent to the gateway pods by static routes or by policies.

Never by a route in one ECMP group with a next hop that is not ours: what goes there is lost, and nothing says so.
A policy acts only after a routing hit, and a route of others that covers the source is one.
"""

from typing import Final

from veg_contracts.base import Value
from veg_planner.plan.notes import Notes
from veg_planner.plan.strangers import Strangers

TOPIC: Final = "form"


class Form(Value, frozen=True, kw_only=True):
    """How a source is sent to the gateway pods; neither where it cannot be."""

    routes: bool = False
    policies: bool = False


def choose(setting: str, strangers: Strangers, cidr: str, notes: Notes) -> Form:
    """The form of a source under the setting "auto", "static-route" or "policy", with the reason for any other one."""
    if setting == "policy":
        return Form(policies=True)
    if setting == "auto":
        return _fitting(strangers, cidr, notes)
    if not strangers.have(cidr):
        return Form(routes=True)
    text = f"source {cidr} has no route: router {strangers.router} has a src-ip route for it that is not ours"
    remedy = "set VEG_CUSTOM_VPC_ROUTING to auto or policy, or remove that route"
    notes.refused(TOPIC, f"{text}, and both would share its traffic: {remedy}")
    return Form()


def _fitting(strangers: Strangers, cidr: str, notes: Notes) -> Form:
    router = f"router {strangers.router}"
    if strangers.cover(cidr):
        where = "for it" if strangers.have(cidr) else "around it"
        notes.done(TOPIC, f"source {cidr} goes by policies: {router} has a src-ip route {where} that is not ours")
        return Form(policies=True)
    if strangers.crowded:
        text = f"{router} has more src-ip routes that are not ours than can be told"
        notes.done(TOPIC, f"source {cidr} goes by policies: {text}")
        return Form(policies=True)
    if strangers.lie_inside(cidr):
        # Theirs are longer and take the traffic of those parts; of the rest it is ours that is the routing hit.
        text = f"{router} has src-ip routes for parts of it that are not ours"
        notes.done(TOPIC, f"source {cidr} goes by routes and policies: {text}")
        return Form(routes=True, policies=True)
    return Form(routes=True)
