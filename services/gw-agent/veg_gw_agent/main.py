"""The command `gw-agent`. Imports are inside the subcommands: `init` holds up the pod, and needs few."""

import argparse
import os
import sys

_EXIT_SETTINGS = 2

_EPILOG = """\
environment:
  POD_NAME, POD_NAMESPACE, POD_UID
                              the pod (downward API)
  VEG_GATEWAY                 its gateway, namespace/name
  VEG_GATEWAY_UID             and the uid of that gateway
  VEG_NATS_URL                the bus. Traffic goes on without it
  VEG_NATS_TOKEN_PATH         the file of the pod's ServiceAccount token for the bus, read at each connection (instead:
                              VEG_NATS_USER and VEG_NATS_PASSWORD)
  VEG_NATS_TLS_CA, VEG_NATS_TLS_SERVER_NAME
                              for a tls:// URL: the authorities to trust (PEM; default: the system's), and the name to
                              verify (default: the host in the URL)
  VEG_STATE_DIR               copies of the config and of what was applied (default /var/lib/gw-agent); the user
                              that runs the agent must be able to write there
  VEG_RESYNC_S                how often the pod is checked and repaired (default 10)
  VEG_INTERNAL_INTERFACE      where clients come from (default eth0)
  VEG_BUS_INTERFACE           the pod's own way to the addresses in VEG_NATS_URL: an interface, with a routing rule and
  VEG_BUS_GATEWAYS            a table of its own, and its gateways ("v4", "v6" or "v4,v6"). Empty: as the main table
                              has it. A name in VEG_NATS_URL gets no way of its own: use addresses
  POD_IPS                     the pod's addresses, by commas (downward API): the local ends of BFD sessions
  VEG_BFD_DIR                 shared with the BFD speaker: its config, and the sign that the pod is drained
                              (default /run/veg-bfd)
  VEG_LOG_LEVEL               debug, info, warning or error (default info)

exit codes: 0 done; 1 failed; 2 wrong usage or settings
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="gw-agent",
        description="Keeps NAT and routes of a gateway pod as the gateway's config on the bus says.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="init | run")
    commands.add_parser("init", help="close the pod and set its sysctls, then exit; needs a privileged container")
    commands.add_parser("run", help="work until SIGTERM; needs NET_ADMIN and NET_RAW, as any user")
    options = parser.parse_args(arguments)
    return {"init": _init, "run": _run}[options.command]()


def _init() -> int:
    from veg_gw_agent.init import init  # noqa: PLC0415
    from veg_gw_agent.settings import INTERNAL_INTERFACE, SHARED_DIR, STATE_DIR  # noqa: PLC0415

    directories = (os.environ.get("VEG_STATE_DIR") or STATE_DIR, os.environ.get("VEG_BFD_DIR") or SHARED_DIR)
    return init(*directories, os.environ.get("VEG_INTERNAL_INTERFACE") or INTERNAL_INTERFACE)


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
