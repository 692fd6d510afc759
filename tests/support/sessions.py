"""A simulated gateway with BFD, in either kind of VPC, for tests that let its sessions come and go."""

from typing import Any

from support.custom_vpc import KEY, settle, vpc1
from support.simulation import GATEWAY, Simulation
from veg_contracts import names
from veg_contracts.events import Ticked
from veg_contracts.intent import NbRows, StaticRoute
from veg_contracts.objects import BfdPort, Vpc

BFD = {"enabled": True, "minRX": 100, "minTX": 100}
PORT = BfdPort(enabled=True, ip="10.255.255.255")


class Policies:
    """A gateway of the default VPC with two pods, whose sessions are not there yet."""

    key, vpc, ips = GATEWAY, "ovn-cluster", ("10.16.0.12", "10.16.0.13")

    def __init__(self, **spec: Any) -> None:
        self.simulation = Simulation()
        self.simulation.prepare()
        self.make_vpc()
        self.simulation.answer_all()
        self.make({"bfd": BFD} | spec)

    def make_vpc(self) -> None:
        self.simulation.see(Vpc(name=self.vpc, router=self.vpc, default_subnet="ovn-default", bfd_port=PORT))

    def make(self, spec: dict[str, Any]) -> None:
        self.simulation.create(replicas=2, **spec)
        self.simulation.answer_all()
        self.simulation.start_pods(2)
        self.simulation.report_config(2)
        self.simulation.answer_all()

    def session(self, ip: str, *statuses: str) -> None:
        for status in statuses:
            self.simulation.session(ip, status, gateway=self.key, vpc=self.vpc)
        self.simulation.answer_all()

    def tick(self, at: str, *, early: bool = False) -> None:
        self.simulation.happen(Ticked(at=at, early=early))
        self.simulation.answer_all()

    @property
    def rows(self) -> NbRows:
        return self.simulation.rows[self.key]

    @property
    def nexthops(self) -> list[str]:
        policies = [policy for policy in self.rows.policies if policy.priority == names.PRIORITY_CLUSTER]
        return [ip for policy in policies for ip in policy.nexthops]

    @property
    def watched(self) -> list[str]:
        """The pods to whose sessions the rows refer that send traffic."""
        policies = [policy for policy in self.rows.policies if policy.priority == names.PRIORITY_CLUSTER]
        return [ip for policy in policies for ip in policy.bfd_sessions]

    @property
    def anchors(self) -> list[str]:
        return [route.nexthop for route in self.rows.static_routes if route.route_table]


class StaticRoutes(Policies):
    """A gateway of a custom VPC with two pods, whose sessions are not there yet."""

    key, vpc, ips = KEY, "vpc1", ("192.168.0.2", "192.168.0.3")

    def make_vpc(self) -> None:
        vpc1(self.simulation, PORT)

    def make(self, spec: dict[str, Any]) -> None:
        settle(self.simulation, **spec)

    @property
    def routes(self) -> list[StaticRoute]:
        return [route for route in self.rows.static_routes if not route.route_table]

    @property
    def nexthops(self) -> list[str]:
        return [route.nexthop for route in self.routes]

    @property
    def watched(self) -> list[str]:
        return [route.bfd for route in self.routes if route.bfd]
