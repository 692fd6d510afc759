"""Settings from the environment: errors name the variable, its value and what is allowed, and tell no secret."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from veg_runtime.settings import Settings, SettingsError, load


class Some(Settings, frozen=True, kw_only=True):
    """Of a service."""

    needed: str
    count: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    on: bool = True
    pause_s: float = 1.0
    side: Literal["left", "right"] = "left"


def test_values_have_the_types_of_their_fields() -> None:
    found = load(Some, {"VEG_NEEDED": "x", "VEG_COUNT": "7", "VEG_ON": "false", "VEG_PAUSE_S": "0.5", "OTHER": "y"})
    assert found == Some(needed="x", count=7, on=False, pause_s=0.5)


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "needed").write_text("secret\n")
    assert load(Some, {"VEG_NEEDED_FILE": str(tmp_path / "needed")}).needed == "secret"
    with pytest.raises(SettingsError, match="VEG_NEEDED_FILE=/not/there: No such file"):
        load(Some, {"VEG_NEEDED_FILE": "/not/there"})


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, r"VEG_NEEDED \(or VEG_NEEDED_FILE\) is not set"),
        ({"VEG_COUNT": "11"}, "VEG_COUNT: '11': Expected `int` <= 10"),
        ({"VEG_COUNT": "many"}, "VEG_COUNT: 'many': Expected `int`, got `str`"),
        ({"VEG_SIDE": "up"}, "VEG_SIDE: 'up': left or right is allowed"),
        ({"VEG_ON": "perhaps"}, "VEG_ON: 'perhaps': Expected `bool`, got `str`"),
    ],
)
def test_an_error_names_variable_value_and_what_is_allowed(variables: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(Some, ({"VEG_NEEDED": "x"} if variables else {}) | variables)


@pytest.mark.parametrize("url", ["nats://user:word@bus:4222", "nats://word@bus", "user:word@bus:4222"])
def test_a_url_of_the_bus_with_a_credential_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match=r"VEG_NATS_URL: .* VEG_NATS_USER and VEG_NATS_PASSWORD") as refused:
        load(Settings, {"VEG_NATS_URL": url})
    assert "word@" not in str(refused.value)


@pytest.mark.parametrize("name", ["CA", "CERT", "KEY", "SERVER_NAME"])
def test_tls_for_a_bus_without_tls_is_refused(name: str) -> None:
    said = {"VEG_NATS_URL": "nats://bus:4222", f"VEG_NATS_TLS_{name}": "x"}
    wrong = f"VEG_NATS_URL: 'nats://bus:4222': with VEG_NATS_TLS_{name} it must begin with tls://"
    with pytest.raises(SettingsError, match=wrong):
        load(Settings, said)
    assert load(Settings, said | {"VEG_NATS_URL": "tls://bus:4222"}).nats_url == "tls://bus:4222"
