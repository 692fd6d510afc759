from veg_contracts import accounts
from veg_contracts.permissions import USERS
from veg_lab import nats
from veg_lab.paths import REPOSITORY, Lab
from veg_runtime.nkeys import Curve, Kind, Signer


def values(lab: Lab) -> dict[str, str]:
    lines = (lab.run / "nats" / "secrets.conf").read_text().splitlines()
    return {name: value.strip('"') for name, value in (line.split(": ") for line in lines)}


def test_the_accounts_are_those_of_the_chart(lab: Lab) -> None:
    nats.prepare(lab)
    shipped = REPOSITORY / "charts" / "vpc-egress-gateway" / "files" / "nats" / "accounts.conf"
    assert (lab.run / "nats" / "accounts.conf").read_text() == shipped.read_text()
    assert set(values(lab)) == set(accounts.variables())


def test_each_user_has_its_own_password(lab: Lab) -> None:
    nats.prepare(lab)
    passwords = {user: values(lab)[accounts.password_variable(user)] for user in USERS}
    assert len(set(passwords.values())) == len(USERS)
    assert passwords == {user: nats.password_file(lab, user).read_text() for user in USERS}


def test_the_keys_of_bus_auth_and_of_the_server_belong_together(lab: Lab) -> None:
    nats.prepare(lab)
    assert values(lab)[accounts.ISSUER] == Signer.read(Kind.ACCOUNT, nats.issuer_seed_file(lab).read_text()).public
    assert values(lab)[accounts.XKEY] == Curve.read(nats.xkey_seed_file(lab).read_text()).public


def test_nothing_changes_the_second_time(lab: Lab) -> None:
    assert nats.prepare(lab) is True
    assert nats.prepare(lab) is False


def test_only_root_reads_the_secrets(lab: Lab) -> None:
    nats.prepare(lab)
    files = [lab.run / "nats" / "secrets.conf", *(nats.password_file(lab, user) for user in USERS)]
    files += [nats.issuer_seed_file(lab), nats.xkey_seed_file(lab)]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
