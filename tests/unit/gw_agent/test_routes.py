from veg_contracts.intent import PodConfig, Route
from veg_gw_agent import routes
from veg_gw_agent.routes import PROTOCOL, Change, FoundRoute, Plan, Verb

BOOT = 3

CNI = (
    FoundRoute(destination="0.0.0.0/0", gateway="172.17.0.1", interface="net1", protocol=BOOT),
    FoundRoute(destination="10.16.0.0/16", gateway="", interface="eth0", protocol=2),
)


def route(destination: str, gateway: str = "10.16.0.1") -> Route:
    return Route(destination=destination, gateway=gateway, interface="eth0")


def found(destination: str, gateway: str = "10.16.0.1", protocol: int = PROTOCOL) -> FoundRoute:
    return FoundRoute(destination=destination, gateway=gateway, interface="eth0", protocol=protocol)


def test_what_is_there_needs_nothing_and_others_are_left_alone() -> None:
    assert routes.plan((route("10.17.0.0/16"),), (*CNI, found("10.17.0.0/16"))) == Plan()


def test_new_routes_come_before_old_ones_go() -> None:
    assert routes.plan((route("10.17.0.0/16"),), (*CNI, found("10.18.0.0/16"))).changes == (
        Change(Verb.ADD, route("10.17.0.0/16")),
        Change(Verb.REMOVE, route("10.18.0.0/16")),
    )


def test_another_gateway_replaces_in_one_step() -> None:
    plan = routes.plan((route("10.17.0.0/16", "10.16.0.9"),), (found("10.17.0.0/16"),))
    assert plan.changes == (Change(Verb.REPLACE, route("10.17.0.0/16", "10.16.0.9")),)


def test_the_same_route_of_somebody_else_serves_as_well() -> None:
    assert routes.plan((route("10.17.0.0/16"),), (found("10.17.0.0/16", protocol=BOOT),)) == Plan()


def test_another_route_of_somebody_else_is_reported_not_touched() -> None:
    plan = routes.plan((route("10.17.0.0/16"),), (found("10.17.0.0/16", "10.16.0.77", protocol=BOOT),))
    assert plan.changes == ()
    [conflict] = plan.conflicts
    assert conflict.startswith("route to 10.17.0.0/16 via 10.16.0.1 on eth0: somebody else's is in the way, ")
    assert conflict.endswith("via 10.16.0.77 on eth0 (protocol 3)")


def test_only_the_families_of_the_config() -> None:
    v6 = Route(destination="fd01::/64", gateway="fd00::1", interface="eth0")
    config = PodConfig(
        gateway="default/g", gateway_uid="u", generation=1, families=("6",), routes=(route("10.17.0.0/16"), v6)
    )
    assert routes.wanted(config, "4") == ()
    assert routes.wanted(config, "6") == (v6,)


MOVING = (route("10.17.0.0/16"), route("10.16.9.9/32", "10.67.0.1"), route("10.17.0.0/16", "10.67.0.1"))


def test_of_routes_for_pods_in_two_subnets_each_pod_takes_its_own() -> None:
    moved = FoundRoute(destination="10.67.0.0/24", gateway="", interface="eth0", protocol=2)
    assert routes.here(MOVING, CNI) == (route("10.17.0.0/16"),)
    assert routes.here(MOVING, (CNI[0], moved)) == MOVING[1:]


def test_a_route_that_nothing_here_leads_to_stays_wanted() -> None:
    assert routes.here((route("10.17.0.0/16", "10.67.0.1"),), CNI) == (route("10.17.0.0/16", "10.67.0.1"),)
