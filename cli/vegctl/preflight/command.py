"""The command line of `vegctl preflight`."""

import asyncio
import sys
import traceback

import click

from veg_runtime.settings import SettingsError, load
from vegctl.preflight import gather, render
from vegctl.preflight.derive import report
from vegctl.preflight.findings import Verdict
from vegctl.preflight.settings import PreflightSettings

_HELP = """Look at a cluster before the services are started: what is it, which settings follow, what will not work?

Nothing is written anywhere. Looked at are the API server (KUBECONFIG, or the cluster that this runs in), OVN's
Northbound database and NATS, each if it is named. What cannot be seen is said, and is no crash.

\b
  vegctl preflight                        the cluster as it is: findings, values of the chart, verdict
  vegctl preflight --vpc vpc1             vpc1 is to have a gateway: what stops that is a blocker
  vegctl preflight --output json          the same for programs

A finding reads: severity, object: what was found -> what follows [id]. Severities:

\b
  ok          as it should be
  unknown     could not be seen: it may be a limit, or worse
  limit       works, but not as the documents say; what follows says how
  blocker     does not work before this has changed

Where a setting of the services is given, it is judged as it is given; else the one that follows from the cluster.
Each may also be in a file that its variable with _FILE names:

\b
  VEG_API_GROUP, VEG_DEFAULT_VPC, VEG_CUSTOM_VPC_ROUTING, VEG_MANAGE_BFD_PORTS, VEG_BFD_RELAY,
  VEG_MANAGEMENT_NETWORK (namespace/name of an attachment: the way to NATS from custom VPCs),
  VEG_AGENT_NATS_URL (NATS as gateway pods reach it)
  VEG_NB_REMOTE (tcp:10.0.0.1:6641), VEG_NATS_URL, VEG_NATS_USER, VEG_NATS_PASSWORD: where to look
  VEG_OVN_TLS_CA, VEG_OVN_TLS_CERT, VEG_OVN_TLS_KEY, VEG_NATS_TLS_CA, …: as the services have them, for ssl: and tls://
  VEG_NAMESPACE (kube-system): where the ServiceAccounts veg-watcher, veg-kube-writer and veg-bus-auth are

Exit code 0: works; 1: works with limits, or something could not be seen; 2: does not work, or preflight failed.
"""


class _FailedError(click.ClickException):
    """Preflight has no verdict; 1 would be one."""

    exit_code = Verdict.DOES_NOT_WORK


@click.command(help=_HELP)
@click.option("--vpc", "vpcs", multiple=True, metavar="NAME", help="A VPC that is to have a gateway; may be repeated.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="The form.")
def preflight(vpcs: tuple[str, ...], output: str) -> None:
    """Print the report and exit with its verdict."""
    try:
        settings = load(PreflightSettings)
    except SettingsError as error:
        raise _FailedError(str(error)) from error
    try:
        facts = asyncio.run(gather.facts(settings, vpcs))
        found = report(facts)
    except Exception:  # noqa: BLE001  Python's own exit code would be a verdict: "works with limits"
        traceback.print_exc()
        sys.exit(Verdict.DOES_NOT_WORK)
    click.echo(render.as_json(found) if output == "json" else render.as_text(found))
    sys.exit(found.verdict)
