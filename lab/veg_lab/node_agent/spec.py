"""From a pod's specification to the words that start its containers. Pure.

An image is a name for the machine's own file system: each container gets an overlay of it (private, in memory, gone
with the container), so volumes can be mounted at any path and nothing a container writes stays on the machine.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from veg_lab import priority
from veg_lab.priority import Priority

Json = dict[str, Any]

# Of any registry, in any version: spec.image of a gateway may name another one.
GATEWAY_IMAGE = re.compile(r"(?:\S+/)?veg-gw-agent(?::\S+)?")
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What an image without a command does, as `pause` does: nothing, and it ends at once when asked to.
PAUSE = ("sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait $!; done")
# The capabilities that container runtimes leave to an ordinary container.
DEFAULT_CAPABILITIES = frozenset(
    {
        *("chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service"),
        *("net_raw", "sys_chroot", "mknod", "audit_write", "setfcap"),
    }
)
EXEC_FAILED = 125
_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")
_FIELD_KEY = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")

ObjectKey = tuple[Literal["secret", "configMap"], str]
"""A Secret or ConfigMap in the pod's namespace."""


class SpecError(Exception):
    """The pod asks for what does not exist or what we do not do; the message names the container and the field."""


@dataclass(frozen=True, slots=True)
class Host:
    """What containers see of the machine."""

    tools: str
    """The directory of our own programs; the gateway image finds them first."""
    shared: tuple[str, ...] = ()
    """Directories the overlay of / does not show, because they are mounts of their own."""
    opened: tuple[str, ...] = ()
    """Directories on the way to our programs that only root may pass; in a container every user may."""


@dataclass(frozen=True, slots=True)
class Mount:
    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """All that is needed to start one container, or a further command in it."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    mounts: tuple[Mount, ...]
    uid: int
    gid: int
    privileged: bool
    capabilities: frozenset[str]
    added_capabilities: frozenset[str]
    no_new_privileges: bool
    opened: tuple[str, ...] = ()
    priority: Priority = priority.ORDINARY


def references(pod: Json) -> set[ObjectKey]:
    """The Secrets and ConfigMaps that environments and volumes of the pod name."""
    found: set[ObjectKey] = set()
    for volume in pod["spec"].get("volumes", []):
        if "secret" in volume:
            found.add(("secret", volume["secret"]["secretName"]))
        if "configMap" in volume:
            found.add(("configMap", volume["configMap"]["name"]))
    for container in all_containers(pod):
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {})
            if "secretKeyRef" in source:
                found.add(("secret", source["secretKeyRef"]["name"]))
            if "configMapKeyRef" in source:
                found.add(("configMap", source["configMapKeyRef"]["name"]))
    return found


def all_containers(pod: Json) -> Iterator[Json]:
    yield from pod["spec"].get("initContainers", [])
    yield from pod["spec"]["containers"]


def plan_container(
    pod: Json, container: Json, addresses: Sequence[str], objects: Mapping[ObjectKey, Mapping[str, str]], host: Host
) -> ContainerPlan:
    """Resolve environment, command, mounts and rights. `objects` has the data of what `references` named and exists.

    Mount sources are relative to the pod's directory. Raises SpecError.
    """
    context = {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
    privileged = bool(context.get("privileged", False))
    uid = int(context.get("runAsUser", 0))
    gid = int(context.get("runAsGroup", uid))
    allowed, added = _capabilities(context)
    env = _environment(pod, container, addresses, objects, host)
    words = [*container.get("command", []), *container.get("args", [])]
    return ContainerPlan(
        name=container["name"],
        argv=tuple(expand(word, env) for word in words) or PAUSE,
        env=env,
        cwd=container.get("workingDir", "/"),
        mounts=tuple(_mounts(pod, container)) + tuple(Mount(path, path, read_only=True) for path in host.shared),
        uid=uid,
        gid=gid,
        privileged=privileged,
        capabilities=allowed,
        added_capabilities=added,
        no_new_privileges=not privileged and context.get("allowPrivilegeEscalation") is False,
        opened=host.opened,
        priority=_priority(pod, container),
    )


def _priority(pod: Json, container: Json) -> Priority:
    if container in pod["spec"].get("initContainers", []):
        return priority.STARTING
    return priority.of_container(str(container.get("resources", {}).get("requests", {}).get("cpu", "")))


def _capabilities(context: Json) -> tuple[frozenset[str], frozenset[str]]:
    """What may be used at all, and what was asked for by name."""
    wanted = context.get("capabilities", {})
    dropped = {name.lower() for name in wanted.get("drop", [])}
    added = frozenset(name.lower() for name in wanted.get("add", []))
    kept = frozenset() if "all" in dropped else DEFAULT_CAPABILITIES - dropped
    return kept | added, added


def _environment(
    pod: Json, container: Json, addresses: Sequence[str], objects: Mapping[ObjectKey, Mapping[str, str]], host: Host
) -> dict[str, str]:
    path = f"{host.tools}:{SEARCH_PATH}" if GATEWAY_IMAGE.fullmatch(container.get("image", "")) else SEARCH_PATH
    env = {"PATH": path, "HOSTNAME": pod["metadata"]["name"], "HOME": "/root"}
    for variable in container.get("env", []):
        value = _value(pod, container, variable, addresses, objects)
        if value is not None:
            env[variable["name"]] = expand(value, env) if "value" in variable else value
    return env


def _value(
    pod: Json, container: Json, variable: Json, addresses: Sequence[str], objects: Mapping[ObjectKey, Mapping[str, str]]
) -> str | None:
    source: Json = variable.get("valueFrom", {})
    if not source:
        return str(variable.get("value", ""))
    where = f"container {container['name']}, env {variable['name']}"
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"], addresses, where)
    for kind, reference in (("secret", source.get("secretKeyRef")), ("configMap", source.get("configMapKeyRef"))):
        if reference is None:
            continue
        data = objects.get((kind, reference["name"]))  # type: ignore[arg-type]  # the tuple's first part is one of the two
        if data is not None and reference["key"] in data:
            return data[reference["key"]]
        if reference.get("optional"):
            return None
        missing = f"no key {reference['key']}" if data is not None else "does not exist"
        raise SpecError(f"{where}: {kind} {reference['name']} {missing}")
    raise SpecError(f"{where}: valueFrom {sorted(source)} is not supported in the lab")


def _field(pod: Json, path: str, addresses: Sequence[str], where: str) -> str:
    meta = pod["metadata"]
    known = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.podIP": addresses[0] if addresses else "",
        "status.podIPs": ",".join(addresses),
        "status.hostIP": pod.get("status", {}).get("hostIP", ""),
    }
    if path in known:
        return str(known[path])
    if keyed := _FIELD_KEY.fullmatch(path):
        return str(meta.get(keyed[1], {}).get(keyed[2], ""))
    raise SpecError(f"{where}: fieldPath {path} is not supported in the lab")


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace `$(NAME)` as Kubernetes does: unknown names stay as they are, `$$` is a dollar sign."""
    return _REFERENCE.sub(lambda found: "$" if found[1] == "$" else env.get(found[2], found[0]), text)


def _mounts(pod: Json, container: Json) -> Iterator[Mount]:
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        volume = volumes.get(mount["name"], {})
        if not volume.keys() & {"emptyDir", "secret", "configMap"}:
            # The token of a service account is added by admission; the lab's pods do not talk to the API server.
            if "projected" in volume:
                continue
            raise SpecError(f"container {container['name']}: volume {mount['name']} is of a kind the lab does not have")
        source = f"volumes/{mount['name']}" + (f"/{mount['subPath']}" if mount.get("subPath") else "")
        yield Mount(source, mount["mountPath"], read_only=bool(mount.get("readOnly")) or "emptyDir" not in volume)


def launch_script(plan: ContainerPlan, directory: str, pod_name: str, addresses: Sequence[str]) -> str:
    """The shell script that turns its own process into the container. It runs in new mount, pid and uts namespaces.

    - Its process id, as the machine sees it, is written first: the old /proc still tells it.
    - Its root is an overlay of / whose writable half lives in a tmpfs of this mount namespace.
    - Pods have no name service: an empty resolv.conf lets a look-up fail at once; hosts has the pod's own name.
    - The end of its keeper ends it, also when it gave up root: setpriv asks for that after the change.
    """
    root = f"{directory}/root"
    hosts = ["127.0.0.1 localhost", "::1 localhost", *(f"{address} {pod_name}" for address in addresses)]
    lines = [
        "set -eu",
        "read -r pid rest </proc/self/stat",
        f'echo "$pid" >{shlex.quote(f"{directory}/containers/{plan.name}.pid")}',
        f"cd {shlex.quote(root)}",
        "mount -t tmpfs -o mode=0755 tmpfs .",
        f"cd {shlex.quote(root)}",
        "mkdir upper work merged",
        "mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay merged",
        "cd merged",
        "mount -t proc proc proc",
        "mount -t sysfs sysfs sys",
        "mount --rbind /dev dev",
        "mount -t tmpfs -o mode=1777 tmpfs run",
        *(f"chmod o+x {shlex.quote(path.lstrip('/'))}" for path in plan.opened),
        "rm -f etc/hosts etc/resolv.conf",
        ": >etc/resolv.conf",
        f"printf '%s\\n' {shlex.join(hosts)} >etc/hosts",
        *(line for mount in plan.mounts for line in _mount_lines(mount, directory)),
        f"hostname {shlex.quote(pod_name)}",
        "pivot_root . .",
        "umount -l .",
        f"mkdir -p {shlex.quote(plan.cwd)}",
        f"cd {shlex.quote(plan.cwd)}",
    ]
    if not plan.privileged:
        lines += [f"mount --bind {path} {path} && mount -o remount,bind,ro {path}" for path in ("/proc/sys", "/sys")]
    lines.append("exec " + shlex.join([*_env_words(plan), *_rights(plan), "--pdeathsig", "KILL", "--", *plan.argv]))
    return "\n".join(lines) + "\n"


def _mount_lines(mount: Mount, directory: str) -> Iterator[str]:
    source = shlex.quote(mount.source if mount.source.startswith("/") else f"{directory}/{mount.source}")
    target = shlex.quote(mount.target.lstrip("/"))
    parent = shlex.quote(mount.target.lstrip("/").rpartition("/")[0] or ".")
    yield f"if [ -d {source} ]; then mkdir -p {target}; else mkdir -p {parent}; : >>{target}; fi"
    yield f"mount --bind {source} {target}"
    if mount.read_only:
        yield f"mount -o remount,bind,ro {target}"


def _env_words(plan: ContainerPlan, cwd: str | None = None) -> list[str]:
    change = ["-C", cwd] if cwd else []
    return ["/usr/bin/env", "-i", *change, *(f"{name}={value}" for name, value in plan.env.items())]


def _rights(plan: ContainerPlan) -> list[str]:
    """The setpriv words that leave a process exactly the rights of the container.

    Root gets its capabilities from the bounding set when it executes; another user keeps, as ambient ones, those that
    the pod added by name. A kubelet gives no ambient ones: they stand for the file capabilities that the programs of
    the gateway's image have (docs/decisions/0011).
    """
    words = ["/usr/bin/setpriv"]
    if (plan.uid, plan.gid) != (0, 0):
        words += ["--reuid", str(plan.uid), "--regid", str(plan.gid), "--clear-groups"]
    if not plan.privileged:
        kept = plan.capabilities if plan.uid == 0 else plan.added_capabilities
        words += ["--bounding-set", _set(plan.capabilities), "--inh-caps", _set(kept), "--ambient-caps", _set(kept)]
    if plan.no_new_privileges:
        words.append("--no-new-privs")
    return words


def _set(capabilities: frozenset[str]) -> str:
    return ",".join(["-all", *(f"+{name}" for name in sorted(capabilities))])


def exec_words(plan: ContainerPlan, pid: int, argv: Sequence[str]) -> list[str]:
    """A further command in the running container, with the same rights, environment and directory."""
    enter = ["nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--uts", "--"]
    return [*enter, *_env_words(plan, plan.cwd), *_rights(plan), "--", *argv]


def shim_words(namespace: str, script: str, exit_file: str) -> list[str]:
    """The container's keeper: outlives the agent, waits for the container and notes its exit code.

    It starts only when told so on its standard input: the agent first writes down that it exists, so an agent that is
    killed in between leaves no container nobody knows of.
    """
    # Not with --fork: util-linux 2.38 then loses the signal that ended its child. The shell's first child is the first
    # process of the new pid namespace, and everything else in there ends with it.
    container = 'unshare --mount --uts --ipc sh "$0" </dev/null; echo $? >"$1"'
    keeper = f"""read -r go || exit {EXEC_FAILED}; exec unshare --pid sh -c '{container}' "$0" "$1\""""
    return ["nsenter", f"--net={namespace}", "--", "sh", "-c", keeper, script, exit_file]
