from typing import Any

import pytest

from veg_contracts import permissions, subjects

GATEWAY, POD, UID = "default/gateway1", "gateway1-abc", "7e1c"


def allowed(user: str, verb: str) -> list[str]:
    rights: dict[str, Any] = permissions.nats_permissions(user)
    return list(rights[verb].get("allow", []))


@pytest.mark.parametrize("role", permissions.ROLES)
def test_no_role_may_publish_what_another_one_says(role: str) -> None:
    own = {
        "watcher": subjects.K8S_EVENTS,
        "ovn-writer": subjects.OVN_EVENTS,
        "kube-writer": subjects.KUBE_EVENTS,
    }
    events = {subject for subject in allowed(role, "publish") if subject.startswith("veg.evt.")}
    assert events == ({own[role]} if role in own else set())
    commands = any(subject.startswith(("veg.cmd.", "$KV.")) for subject in allowed(role, "publish"))
    assert commands == (role == "planner")


@pytest.mark.parametrize("user", permissions.USERS)
def test_nobody_has_a_wildcard_over_the_api(user: str) -> None:
    for subject in allowed(user, "publish"):
        if subject.startswith("$JS.API.CONSUMER."):
            assert subject.split(".")[5 if ".CONSUMER.CREATE." in subject else -1] not in ("*", ">")
        assert not subject.startswith(("$JS.API.>", "$JS.API.*", "$JS.API.STREAM.>", "$JS.API.CONSUMER.>", "$JS.ACK.>"))
        assert not subject.startswith((">", "*", "$SYS"))


@pytest.mark.parametrize("user", permissions.ROLES)
def test_everybody_hears_its_own_inbox_alone(user: str) -> None:
    inboxes = [subject for subject in allowed(user, "subscribe") if subject.startswith("_INBOX")]
    assert inboxes == [f"_INBOX_{user}.>"]


def test_a_pod_has_four_subjects() -> None:
    assert permissions.agent_permissions(GATEWAY, POD, UID) == {
        "publish": {
            "allow": [
                "veg.evt.agent.default.gateway1.gateway1-abc",
                "$JS.API.DIRECT.GET.KV_veg-config.$KV.veg-config.default.gateway1",
            ]
        },
        "subscribe": {"allow": ["$KV.veg-config.default.gateway1", "_INBOX_gw-agent.7e1c.>"]},
    }


def test_dots_in_names_are_no_levels() -> None:
    mine, theirs = (permissions.agent_permissions(gateway, "p", UID) for gateway in ("a/b.c", "a/b"))
    assert "veg.evt.agent.a.b_c.p" in mine["publish"]["allow"]
    assert "veg.evt.agent.a.b.p" in theirs["publish"]["allow"]


def test_an_unknown_user_is_named() -> None:
    with pytest.raises(ValueError, match="unknown user 'nobody'"):
        permissions.nats_permissions("nobody")
