"""`plan(world, subject) -> Plan`: what one gateway, or one Vpc's BFD port, should look like now, and why. Pure.

Reads the world and nothing else: never the event that woke it, no clock, no randomness. It imports nothing from
`fold`, `diff` or the shell. A part that must not change yet is taken over from the intent before.
"""

from veg_planner.plan.draft import Draft, Plan
from veg_planner.plan.gateway import plan_gateway
from veg_planner.plan.vpc import plan_vpc
from veg_planner.world import World, is_gateway

__all__ = ["Draft", "Plan", "plan"]


def plan(world: World, subject: str) -> Plan:
    """The plan of a gateway (`namespace/name`) or a Vpc (a bare name)."""
    return plan_gateway(world, subject) if is_gateway(subject) else plan_vpc(world, subject)
