"""OVN and Open vSwitch from the cached tree: the command-line tools, and the daemons that a cluster has once."""

from pathlib import Path

from veg_lab import netns, priority, probes
from veg_lab.paths import MACHINE_ADDRESS, Lab
from veg_lab.process import Component
from veg_lab.progress import step

# Where the nodes reach the southbound database, at the machine's address.
_SOUTHBOUND_PORT = 6642
# Daemons write to stderr, which is their log file; nothing goes to syslog.
LOGGING = ("-vconsole:info", "-vsyslog:off", "-vfile:off")
_PATHS = {"ovsdb-server": "usr/sbin", "ovs-vswitchd": "usr/lib/openvswitch-switch"}


def tool(lab: Lab, program: str, *arguments: str) -> list[str]:
    """The words that run a program of the tree with the tree's own loader and libraries."""
    tree = lab.ovn_tree
    libraries = f"{tree}/usr/lib/x86_64-linux-gnu"
    binary = tree / _PATHS.get(program, "usr/bin") / program
    return [
        f"{tree}/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "--library-path",
        libraries,
        str(binary),
        *arguments,
    ]


def environment(lab: Lab, ovs: Path | None = None) -> dict[str, str]:
    """Where the programs look for sockets and files, instead of the machine's own places; `ovs` is a node's."""
    ovs = ovs or lab.run / "ovs"
    return {
        "OVS_RUNDIR": str(ovs),
        "OVN_RUNDIR": str(lab.run / "ovn"),
        "OVS_DBDIR": str(ovs),
        "OVS_LOGDIR": str(lab.run / "log"),
        "OVN_LOGDIR": str(lab.run / "log"),
        "OVS_SYSCONFDIR": str(ovs),
        "OVS_PKGDATADIR": f"{lab.ovn_tree}/usr/share/openvswitch",
        "OVN_PKGDATADIR": f"{lab.ovn_tree}/usr/share/ovn",
    }


def ovs_directory(lab: Lab, node: str) -> Path:
    """Where a node's Open vSwitch has database and sockets."""
    return lab.run / "nodes" / node / "run" / "openvswitch"


def chassis_name(node: str) -> str:
    """In a real cluster, too, it is never the node's name itself."""
    return f"chassis-{node}"


def vsctl(lab: Lab, node: str, *arguments: str) -> list[str]:
    """Words that run ovs-vsctl against a node's switch."""
    return tool(lab, "ovs-vsctl", f"--db=unix:{ovs_directory(lab, node)}/db.sock", *arguments)


def control_socket(lab: Lab, component: str) -> Path:
    """Where a daemon listens for appctl: `ovn-northd`, or `ovs-vswitchd-NODE`."""
    for name in ("ovs-vswitchd", "ovn-controller"):
        if component.startswith(f"{name}-"):
            return ovs_directory(lab, component.removeprefix(f"{name}-")) / f"{name}.ctl"
    return lab.run / "ovn" / f"{component}.ctl"


def southbound_of_nodes() -> str:
    """The southbound database as the nodes reach it."""
    return f"tcp:{MACHINE_ADDRESS}:{_SOUTHBOUND_PORT}"


def components(lab: Lab) -> list[Component]:
    """The two databases and northd, in the order of their start."""
    listen = f"--remote=ptcp:{_SOUTHBOUND_PORT}:{MACHINE_ADDRESS}"
    return [
        _component(lab, "ovn-nb", database_words(lab, lab.run / "ovn", "nb.db", "nb.sock", "ovn-nb.ctl"), "nb.sock"),
        _component(
            lab, "ovn-sb", [*database_words(lab, lab.run / "ovn", "sb.db", "sb.sock", "ovn-sb.ctl"), listen], "sb.sock"
        ),
        _component(lab, "ovn-northd", _northd_words(lab), "ovn-northd.ctl"),
    ]


def database_words(lab: Lab, directory: Path, file: str, socket: str, control: str) -> list[str]:
    """Words that run a database server on this file, all of it in one directory."""
    remote = f"--remote=punix:{directory / socket}"
    return tool(lab, "ovsdb-server", str(directory / file), remote, f"--unixctl={directory / control}", *LOGGING)


def _northd_words(lab: Lab) -> list[str]:
    """As `--monitor` of a real one does it: after a signal that is a fault of its own it starts again.

    OVN 25.03's dies of a BFD row whose logical port is gone, until the row is gone, too.
    """
    again = 'while "$@"; [ $? -ge 128 ]; do sleep 0.2; done'
    return ["sh", "-c", again, "northd", "setpriv", "--pdeathsig", "KILL", *_northd(lab)]


def _northd(lab: Lab) -> list[str]:
    databases = (f"--ovnnb-db={lab.nb_remote}", f"--ovnsb-db={lab.sb_remote}")
    return tool(lab, "ovn-northd", *databases, f"--unixctl={control_socket(lab, 'ovn-northd')}", *LOGGING)


def _component(lab: Lab, name: str, argv: list[str], socket: str) -> Component:
    words = (*priority.words(priority.DAEMONS[name]), *argv)
    ready = probes.listens(lab.run / "ovn" / socket)
    return Component(name, words, ready, lab.namespace(), environment(lab), attempts=3)


def make_databases(lab: Lab) -> None:
    """Empty databases where none are."""
    make_database(lab, lab.run / "ovn" / "nb.db", "ovn/ovn-nb.ovsschema")
    make_database(lab, lab.run / "ovn" / "sb.db", "ovn/ovn-sb.ovsschema")


def make_database(lab: Lab, file: Path, schema: str) -> None:
    """An empty database, made beside its place, so that an interrupted start leaves no half of one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        return
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    words = tool(lab, "ovsdb-tool", "create", str(draft), f"{lab.ovn_tree}/usr/share/{schema}")
    netns.run_in(lab.namespace(), words)
    draft.rename(file)


def nbctl(lab: Lab, *arguments: str) -> str:
    """Run ovn-nbctl against the lab's database."""
    return netns.run_in(lab.namespace(), tool(lab, "ovn-nbctl", f"--db={lab.nb_remote}", *arguments))


def wait_for_chassis(lab: Lab, node: str) -> None:
    """Wait until the node's chassis is known in the southbound database."""
    words = ("--timeout=30", "wait-until", "Chassis", chassis_name(node))
    netns.run_in(lab.namespace(), tool(lab, "ovn-sbctl", f"--db={lab.sb_remote}", *words))


def await_flows(lab: Lab) -> None:
    """Wait until all chassis follow the northbound database: all of OVN works together."""
    with step("OVN: the chassis follow the northbound database"):
        nbctl(lab, "--timeout=30", "--wait=hv", "sync")
