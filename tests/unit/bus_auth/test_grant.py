from veg_bus_auth import grant
from veg_bus_auth.grant import Grant
from veg_contracts import permissions


def test_a_user_has_the_rights_of_its_pod() -> None:
    claims = grant.claims(Grant(gateway="default/gateway1", pod="gateway1-abc", pod_uid="7e1c"))
    rights = permissions.agent_permissions("default/gateway1", "gateway1-abc", "7e1c")
    assert (claims["nats"]["pub"], claims["nats"]["sub"]) == (rights["publish"], rights["subscribe"])
    assert claims["aud"] == permissions.AGENT_ACCOUNT


def test_pods_that_came_together_do_not_come_again_together() -> None:
    times = [grant.valid_s(Grant(gateway="a/b", pod="p", pod_uid=str(number)), 1000) for number in range(100)]
    assert all(750 <= time <= 1000 for time in times)
    assert max(times) - min(times) > 200
    assert times[0] == grant.valid_s(Grant(gateway="c/d", pod="q", pod_uid="0"), 1000)
