import json

from veg_contracts.permissions import ROLES, nats_permissions
from veg_lab import nats
from veg_lab.paths import Lab


def test_each_role_has_its_own_password_and_permissions(lab: Lab) -> None:
    nats.prepare(lab)
    config = json.loads((lab.run / "nats" / "server.conf").read_text())
    users = {user["user"]: user for user in config["authorization"]["users"]}
    assert set(users) == set(ROLES)
    assert len({user["password"] for user in users.values()}) == len(ROLES)
    for role in ROLES:
        assert users[role]["permissions"] == nats_permissions(role)
        assert users[role]["password"] == nats.password_file(lab, role).read_text()


def test_nothing_changes_the_second_time(lab: Lab) -> None:
    assert nats.prepare(lab) is True
    assert nats.prepare(lab) is False


def test_only_root_reads_the_secrets(lab: Lab) -> None:
    nats.prepare(lab)
    files = [lab.run / "nats" / "server.conf", *(nats.password_file(lab, role) for role in ROLES)]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
