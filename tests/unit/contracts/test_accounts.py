import re

from veg_contracts import accounts
from veg_lab.paths import REPOSITORY


def test_the_file_is_the_one_that_the_contracts_make() -> None:
    shipped = REPOSITORY / "charts" / "vpc-egress-gateway" / "files" / "nats" / "accounts.conf"
    assert shipped.read_text() == accounts.render(), "run scripts/accounts"


def test_every_variable_is_named_and_used() -> None:
    text = accounts.render()
    assert set(re.findall(r"\$([A-Z_]{6,})", text)) == set(accounts.variables())
    assert all(variable in text.partition("include")[0] for variable in accounts.variables())
