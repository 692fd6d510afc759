"""`plan(world, gateway) -> Plan`: what one gateway should look like now, and why. Pure.

Reads the world and nothing else: never the event that woke it, no clock, no randomness. It imports nothing from
`fold`, `diff` or the shell. A part that must not change yet is taken over from the intent before.
"""

from veg_planner.plan.draft import Draft, Plan
from veg_planner.plan.gateway import plan

__all__ = ["Draft", "Plan", "plan"]
