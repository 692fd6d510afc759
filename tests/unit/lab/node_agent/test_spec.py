"""From a pod's specification to the words that start its containers."""

import shlex
import subprocess
from typing import Any

import pytest

from veg_lab.node_agent.spec import (
    PAUSE,
    ContainerPlan,
    Host,
    Mount,
    SpecError,
    exec_words,
    expand,
    launch_script,
    plan_container,
    references,
    shim_words,
)

HOST = Host(tools="/repo/.venv/bin")
RESTRICTED = {
    "runAsUser": 65534,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
}


def pod(container: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u-1", "labels": {"app": "x"}},
        "spec": {"nodeName": "kube-ovn-worker", "containers": [{"name": "c", "image": "any", **container}], **spec},
        "status": {"hostIP": "172.18.0.2"},
    }


def planned(container: dict[str, Any], objects: Any = None, host: Host = HOST, **spec: Any) -> ContainerPlan:
    whole = pod(container, **spec)
    return plan_container(whole, whole["spec"]["containers"][0], ("10.16.0.4", "fd00::4"), objects or {}, host)


def ref(path: str) -> dict[str, Any]:
    return {"valueFrom": {"fieldRef": {"fieldPath": path}}}


def test_an_image_without_a_command_pauses() -> None:
    assert planned({}).argv == PAUSE


def test_the_gateway_image_finds_our_programs_first() -> None:
    assert planned({"image": "veg-gw-agent:lab"}).env["PATH"].startswith("/repo/.venv/bin:/usr/local/sbin:")
    assert "/repo" not in planned({"image": "busybox"}).env["PATH"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "x"),
        ("metadata.labels['none']", ""),
        ("spec.nodeName", "kube-ovn-worker"),
        ("status.podIP", "10.16.0.4"),
        ("status.podIPs", "10.16.0.4,fd00::4"),
        ("status.hostIP", "172.18.0.2"),
    ],
)
def test_fields_of_the_pod_reach_the_environment(path: str, value: str) -> None:
    assert planned({"env": [{"name": "A", **ref(path)}]}).env["A"] == value


def test_secrets_and_config_maps_reach_the_environment_and_optional_ones_may_be_absent() -> None:
    env = [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "user"}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k", "optional": True}}},
        {"name": "D", "value": "$(A)-$(UNKNOWN)-$$(A)"},
    ]
    plan = planned({"env": env, "args": ["$(A)"]}, {("secret", "s"): {"user": "u"}, ("configMap", "m"): {"k": "v"}})
    assert {name: plan.env.get(name) for name in "ABCD"} == {"A": "u", "B": "v", "C": None, "D": "u-$(UNKNOWN)-$(A)"}
    assert plan.argv == ("u",)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ({"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}, "container c, env A: secret s does not exist"),
        ({"valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}, "configMap m no key k"),
        ({"valueFrom": {"resourceFieldRef": {}}}, "resourceFieldRef"),
        (ref("spec.nonsense"), "spec.nonsense"),
    ],
)
def test_what_cannot_be_resolved_is_named(variable: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        planned({"env": [{"name": "A", **variable}]}, {("configMap", "m"): {}})


def test_references_are_found_in_environments_and_volumes_of_all_containers() -> None:
    init = {
        "name": "i",
        "image": "x",
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s1", "key": "k"}}}],
    }
    volumes = [{"name": "v", "secret": {"secretName": "s2"}}, {"name": "w", "configMap": {"name": "m"}}]
    assert references(pod({}, initContainers=[init], volumes=volumes)) == {
        ("secret", "s1"),
        ("secret", "s2"),
        ("configMap", "m"),
    }


def test_a_restricted_user_keeps_exactly_the_capabilities_it_asked_for() -> None:
    words = shlex.join(exec_words(planned({"securityContext": RESTRICTED}), 42, ["id"]))
    assert "--reuid 65534 --regid 65534 --clear-groups" in words
    for kind in ("--bounding-set", "--inh-caps", "--ambient-caps"):
        assert f"{kind} -all,+net_admin,+net_raw" in words
    assert "--no-new-privs" in words
    assert words.startswith("nsenter --target 42 --mount --net --pid --uts -- ")
    assert words.endswith(" -- id")


def test_a_privileged_container_keeps_everything() -> None:
    words = exec_words(
        planned({"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}}), 42, ["id"]
    )
    assert not any(word.startswith(("--bounding", "--reuid", "--no-new")) for word in words)


def test_the_context_of_the_pod_holds_unless_the_container_says_otherwise() -> None:
    assert planned({}, securityContext={"runAsUser": 7, "runAsGroup": 8}).uid == 7
    both = planned({"securityContext": {"runAsUser": 9}}, securityContext={"runAsUser": 7, "runAsGroup": 8})
    assert (both.uid, both.gid) == (9, 8)


def test_only_privileged_containers_may_write_sysctls() -> None:
    bind = "mount -o remount,bind,ro /proc/sys"
    assert bind in launch_script(planned({}), "/d", "p", ())
    assert bind not in launch_script(planned({"securityContext": {"privileged": True}}), "/d", "p", ())


def test_volumes_are_mounted_where_the_pod_sees_them() -> None:
    volumes = [{"name": "e", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "s"}}]
    mounts = [{"name": "e", "mountPath": "/var/lib/x"}, {"name": "s", "mountPath": "/etc/s", "subPath": "k"}]
    plan = planned({"volumeMounts": mounts}, volumes=volumes)
    assert plan.mounts == (
        Mount("volumes/e", "/var/lib/x", read_only=False),
        Mount("volumes/s/k", "/etc/s", read_only=True),
    )
    script = launch_script(plan, "/d", "p", ())
    assert "mount --bind /d/volumes/e var/lib/x\n" in script
    assert "mount --bind /d/volumes/s/k etc/s\nmount -o remount,bind,ro etc/s\n" in script


def test_a_volume_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="container c: volume h"):
        planned(
            {"volumeMounts": [{"name": "h", "mountPath": "/h"}]}, volumes=[{"name": "h", "hostPath": {"path": "/"}}]
        )


def test_directories_that_are_mounts_of_their_own_are_shared_read_only() -> None:
    host = Host(tools="/repo/.venv/bin", shared=("/repo",), opened=("/root",))
    plan = planned({}, host=host)
    assert plan.mounts == (Mount("/repo", "/repo", read_only=True),)
    assert "chmod o+x root\n" in launch_script(plan, "/d", "p", ())


def test_the_script_is_valid_shell_whatever_the_words_are() -> None:
    odd = planned({"command": ["sh", "-c", "echo 'it''s'; $x `y` \"z\"\n"], "env": [{"name": "A", "value": "a b'c$d"}]})
    script = launch_script(odd, "/d", "p", ("10.16.0.4",))
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert "10.16.0.4 p" in script
    keeper = shim_words("/run/netns/x", "/d/c.sh", "/d/c.exit")
    assert keeper[-2:] == ["/d/c.sh", "/d/c.exit"]
    subprocess.run(["sh", "-n"], input=keeper[-3], text=True, check=True)


def test_expansion_follows_kubernetes() -> None:
    assert expand("$(A) $$(A) $(B) $A", {"A": "1"}) == "1 $(A) $(B) $A"
