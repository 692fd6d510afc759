"""`vegctl keys`: the two key pairs that the bus and bus-auth share."""

import click

from veg_runtime import nkeys
from veg_runtime.nkeys import Curve, Kind, Signer


@click.command()
def keys() -> None:
    r"""Make the key pairs by which the bus trusts bus-auth, and print them. Needs no database.

    \b
    issuer-seed   secret of bus-auth (VEG_ISSUER_SEED): signs the users of gateway pods
    issuer        its public key: AUTH_ISSUER in NATS' secrets.conf
    xkey-seed     secret of bus-auth (VEG_XKEY_SEED): encrypts its exchange with NATS
    xkey          its public key: AUTH_XKEY in NATS' secrets.conf

    Whoever has the issuer's seed can let anybody into the bus: keep it where only bus-auth reads it.
    """
    issuer, xkey = nkeys.new_seed(Kind.ACCOUNT), nkeys.new_seed(Kind.CURVE)
    click.echo(f"issuer-seed: {issuer}")
    click.echo(f"issuer: {Signer.read(Kind.ACCOUNT, issuer).public}")
    click.echo(f"xkey-seed: {xkey}")
    click.echo(f"xkey: {Curve.read(xkey).public}")
