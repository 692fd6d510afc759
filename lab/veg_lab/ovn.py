"""OVN and Open vSwitch from the cached tree: the daemons, the command-line tools, and the one chassis of the lab."""

from pathlib import Path

from veg_lab import netns, priority, probes
from veg_lab.mini_kube_ovn.bootstrap import BASE_NODES
from veg_lab.paths import Lab
from veg_lab.process import Component
from veg_lab.progress import step

CHASSIS = "lab"
INTEGRATION_BRIDGE = "br-int"
# Daemons write to stderr, which is their log file; nothing goes to syslog.
_LOGGING = ("-vconsole:info", "-vsyslog:off", "-vfile:off")
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


def environment(lab: Lab) -> dict[str, str]:
    """Where the programs look for sockets and files, instead of the machine's own places."""
    return {
        "OVS_RUNDIR": str(lab.run / "ovs"),
        "OVN_RUNDIR": str(lab.run / "ovn"),
        "OVS_DBDIR": str(lab.run / "ovs"),
        "OVS_LOGDIR": str(lab.run / "log"),
        "OVN_LOGDIR": str(lab.run / "log"),
        "OVS_SYSCONFDIR": str(lab.run / "ovs"),
        "OVS_PKGDATADIR": f"{lab.ovn_tree}/usr/share/openvswitch",
        "OVN_PKGDATADIR": f"{lab.ovn_tree}/usr/share/ovn",
    }


def vsctl(lab: Lab, *arguments: str) -> list[str]:
    """Words that run ovs-vsctl against the lab's switch."""
    return tool(lab, "ovs-vsctl", f"--db={lab.ovs_remote}", *arguments)


def control_socket(lab: Lab, component: str) -> Path:
    """Where a daemon listens for appctl."""
    return lab.run / ("ovs" if component.startswith("ovs") else "ovn") / f"{component}.ctl"


def components(lab: Lab) -> list[Component]:
    """The six daemons, in the order of their start."""
    run = lab.run
    return [
        _database(lab, "ovs-db", run / "ovs" / "conf.db", run / "ovs" / "db.sock"),
        _database(lab, "ovn-nb", run / "ovn" / "nb.db", run / "ovn" / "nb.sock"),
        _database(lab, "ovn-sb", run / "ovn" / "sb.db", run / "ovn" / "sb.sock"),
        _daemon(lab, "ovs-vswitchd", lab.ovs_remote, "--disable-system"),
        _daemon(lab, "ovn-northd", f"--ovnnb-db={lab.nb_remote}", f"--ovnsb-db={lab.sb_remote}"),
        _daemon(lab, "ovn-controller", lab.ovs_remote),
    ]


def _database(lab: Lab, name: str, file: Path, socket: Path) -> Component:
    argv = tool(
        lab, "ovsdb-server", str(file), f"--remote=punix:{socket}", f"--unixctl={control_socket(lab, name)}", *_LOGGING
    )
    argv = [*priority.words(priority.DAEMONS[name]), *argv]
    return Component(name, tuple(argv), probes.listens(socket), lab.namespace(), environment(lab))


def _daemon(lab: Lab, name: str, *arguments: str) -> Component:
    control = control_socket(lab, name)
    argv = tool(lab, name, *arguments, f"--unixctl={control}", *_LOGGING)
    argv = [*priority.words(priority.DAEMONS[name]), *argv]
    return Component(name, tuple(argv), probes.listens(control), lab.namespace(), environment(lab), attempts=3)


def make_databases(lab: Lab) -> None:
    """Empty databases where none are. Made beside their place, so that an interrupted start leaves no half of one."""
    share = lab.ovn_tree / "usr" / "share"
    for file, schema in (
        (lab.run / "ovs" / "conf.db", share / "openvswitch" / "vswitch.ovsschema"),
        (lab.run / "ovn" / "nb.db", share / "ovn" / "ovn-nb.ovsschema"),
        (lab.run / "ovn" / "sb.db", share / "ovn" / "ovn-sb.ovsschema"),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            draft = file.with_suffix(".new")
            draft.unlink(missing_ok=True)
            netns.run_in(lab.namespace(), tool(lab, "ovsdb-tool", "create", str(draft), str(schema)))
            draft.rename(file)


def configure_switch(lab: Lab) -> None:
    """One chassis (its tunnel end on the loopback, as there is no second one) and the userspace bridge."""
    settings = {
        "system-id": CHASSIS,
        # It stands for the first node, which comes first in every HA group that is in the order of names.
        "hostname": BASE_NODES[0].name,
        "ovn-remote": lab.sb_remote,
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": "127.0.0.1",
        "ovn-bridge": INTEGRATION_BRIDGE,
        "ovn-bridge-datapath-type": "netdev",
        "ovn-monitor-all": "true",
    }
    pairs = [f'external_ids:{key}="{value}"' for key, value in settings.items()]
    bridge = ["--may-exist", "add-br", INTEGRATION_BRIDGE, "--", "set", "bridge", INTEGRATION_BRIDGE]
    netns.run_in(
        lab.namespace(),
        vsctl(
            lab,
            "--no-wait",
            "set",
            "Open_vSwitch",
            ".",
            *pairs,
            "--",
            *bridge,
            "datapath_type=netdev",
            "fail_mode=secure",
        ),
    )


def nbctl(lab: Lab, *arguments: str) -> str:
    """Run ovn-nbctl against the lab's database."""
    return netns.run_in(lab.namespace(), tool(lab, "ovn-nbctl", f"--db={lab.nb_remote}", *arguments))


def wait_for_chassis(lab: Lab) -> None:
    """Wait until the chassis is known and follows the northbound database: all six daemons work together."""
    with step("OVN: the chassis follows the northbound database"):
        netns.run_in(
            lab.namespace(),
            tool(lab, "ovn-sbctl", f"--db={lab.sb_remote}", "--timeout=20", "wait-until", "Chassis", CHASSIS),
        )
        nbctl(lab, "--timeout=20", "--wait=hv", "sync")
