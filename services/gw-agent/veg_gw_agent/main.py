"""The command `gw-agent`. Imports are inside the subcommands: the probe runs every 2 s, and `init` holds up the pod."""

import os
import sys

from veg_gw_agent import readiness

_EXIT_SETTINGS = 2

_EPILOG = """\
environment:
  POD_NAME, POD_NAMESPACE, POD_UID
                              the pod (downward API)
  VEG_GATEWAY                 its gateway, namespace/name
  VEG_GATEWAY_UID             and the uid of that gateway
  VEG_NATS_URL, VEG_NATS_USER, VEG_NATS_PASSWORD
                              the bus; VEG_NATS_PASSWORD_FILE names a file instead. Traffic goes on without it
  VEG_STATE_DIR               copies of the config and of what was applied (default /var/lib/gw-agent); the user
                              that runs the agent must be able to write there
  VEG_RESYNC_S                how often the pod is checked and repaired (default 10)
  VEG_INTERNAL_INTERFACE      for init only (default eth0)
  POD_IPS                     the pod's addresses, by commas (downward API): the local ends of BFD sessions
  VEG_BFD_DIR                 shared with the BFD speaker: its config, and the sign that the pod is drained
                              (default /run/veg-bfd)
  VEG_LOG_LEVEL               debug, info, warning or error (default info)

exit codes: 0 done, or ready (drain: always); 1 failed, or not ready; 2 wrong usage or settings
"""


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    if words == ["ready"]:
        return _ready()  # half of its time would be the parser's
    import argparse  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="gw-agent",
        description="Keeps NAT and routes of a gateway pod as the gateway's config on the bus says.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="init | run | ready | drain")
    commands.add_parser("init", help="close the pod and set its sysctls, then exit; needs a privileged container")
    commands.add_parser("run", help="work until SIGTERM; needs NET_ADMIN and NET_RAW, as any user")
    commands.add_parser("ready", help="exit 0 when a config is applied in this pod")
    draining = commands.add_parser("drain", help="wait until no chassis sends this pod anything any more, then exit")
    draining.add_argument("--timeout", type=float, default=20.0, metavar="S", help="at most so long (default 20)")
    options = parser.parse_args(words)
    if options.command == "drain":
        return _drain(options.timeout)
    return {"init": _init, "run": _run, "ready": _ready}[options.command]()


def _bfd_dir() -> str:
    from veg_gw_agent import drain  # noqa: PLC0415

    return os.environ.get("VEG_BFD_DIR") or drain.SHARED_DIR


def _drain(timeout_s: float) -> int:
    """A hook that fails keeps no pod alive, so it never does."""
    from veg_gw_agent import drain  # noqa: PLC0415

    sys.stdout.write(f"{drain.wait(_bfd_dir(), timeout_s)}\n")
    return 0


def _state_dir() -> str:
    return os.environ.get("VEG_STATE_DIR") or readiness.STATE_DIR


def _ready() -> int:
    ready, why = readiness.check(_state_dir())
    sys.stdout.write(f"{why}\n")
    return 0 if ready else 1


def _init() -> int:
    from veg_gw_agent.init import init  # noqa: PLC0415

    return init(_state_dir(), _bfd_dir(), os.environ.get("VEG_INTERNAL_INTERFACE") or "eth0")


def _run() -> int:
    # The NATS client imports aiohttp if it is there, for websockets, which we do not use: 10 MB in each gateway pod.
    sys.modules["aiohttp"] = None  # type: ignore[assignment]
    from veg_gw_agent import start  # noqa: PLC0415
    from veg_runtime.settings import SettingsError  # noqa: PLC0415

    try:
        start.run()
    except SettingsError as error:
        sys.stderr.write(f"gw-agent: {error}\n")
        return _EXIT_SETTINGS
    return 0
