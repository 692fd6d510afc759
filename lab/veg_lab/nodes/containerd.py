"""containerd of a node: its configuration, and the component."""

import subprocess
from pathlib import Path

from veg_lab import probes
from veg_lab.nodes import cgroups, filesystem
from veg_lab.nodes.inventory import Node
from veg_lab.paths import REPOSITORY, Lab
from veg_lab.process import Component

SOCKET = "/run/containerd/containerd.sock"
# The stand-in's own plugin, and the packaged ones that it calls as Multus does.
PLUGINS = (REPOSITORY / "lab" / "veg_lab" / "cni", Path("/usr/lib/cni"))
_CONFIGURATION = """\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [{disabled}]
oom_score = 0

[grpc]
  address = "{socket}"

[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE nobody may lower a score, and runc gives up.
  restrict_oom_score_adj = {restricted}
  max_container_log_line_size = 16384
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [{plugins}]
    conf_dir = "/run/cni/net.d"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{sandbox}"
"""
# What the lab never asks for, and what would only complain.
_DISABLED = (
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing",
)
_NETWORK = """\
{"cniVersion": "0.3.1", "name": "kube-ovn", "plugins": [
  {"type": "kube-ovn", "server_socket": "/run/openvswitch/kube-ovn-daemon.sock"}
]}
"""
_CAP_SYS_RESOURCE = 24


def prepare(node: Node, sandbox_image: str) -> None:
    """The files that containerd reads."""
    quoted = {
        "disabled": ", ".join(f'"{name}"' for name in _DISABLED),
        "plugins": ", ".join(f'"{directory}"' for directory in PLUGINS),
        "restricted": "false" if _may_raise_limits() else "true",
    }
    directory = node.run / "cni" / "net.d"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "10-kube-ovn.conflist").write_text(_NETWORK)
    text = _CONFIGURATION.format(socket=SOCKET, sandbox=sandbox_image, **quoted)
    (node.directory / "containerd.toml").write_text(text)


def _may_raise_limits() -> bool:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd:")]
    return bool(int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)


def component(node: Node) -> Component:
    """The daemon."""
    argv = [str(node.lab.kubernetes / "containerd"), "--config", f"{node.directory}/containerd.toml"]
    words = [*cgroups.join(node.cgroup), *filesystem.inside(node, argv)]
    socket = probes.listens(node.directory / "run" / "containerd" / "containerd.sock")
    environment = {"PATH": f"{node.lab.kubernetes}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    return Component(f"containerd-{node.name}", tuple(words), socket, node.namespace, environment, ready_within_s=30.0)


def missing(lab: Lab) -> str:
    """What the machine refuses to a container, in one line; empty when one could run."""
    scratch = lab.storage / ".try"
    if refused := cgroups.missing() or filesystem.missing(scratch):
        return refused
    done = subprocess.run(["runc", "--version"], capture_output=True, check=False)
    return "" if done.returncode == 0 else f"no container can run here: runc: {done.stderr.decode(errors='replace')}"
