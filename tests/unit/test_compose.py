"""docker-compose.yml, .env.example and compose/secrets agree with each other and with the settings of the services."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from veg_bus_auth.main import BusAuthSettings
from veg_kube_writer.main import KubeWriterSettings
from veg_ovn_writer.main import OvnWriterSettings
from veg_planner.main import ServiceSettings
from veg_watcher.main import WatcherSettings

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "docker-compose.yml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
SCRIPT = (ROOT / "compose" / "secrets").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(FILE)
SETTINGS: dict[str, type[msgspec.Struct]] = {
    "bus-auth": BusAuthSettings,
    "kube-writer": KubeWriterSettings,
    "ovn-writer": OvnWriterSettings,
    "planner": ServiceSettings,
    "watcher": WatcherSettings,
}
_OF_KUBERNETES = {"KUBECONFIG"}


def variables(text: str) -> dict[str, str]:
    """Name -> default of what is read from .env, `?` where there must be a value."""
    found = re.findall(r"\$\{([A-Z_]+):([-?])([^}]*)\}", text)
    return {name: default if sign == "-" else "?" for name, sign, default in found}


def explained() -> dict[str, str]:
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))


def test_the_example_explains_each_variable_with_its_default() -> None:
    used = variables(FILE)
    read = set(re.findall(r"(?:setting|kubeconfig \S+|ovn \S+) ([A-Z_]+)", SCRIPT))
    assert set(explained()) == set(used) | read
    for name, default in used.items():
        if default != "?":
            assert explained()[name] == default, name


def test_a_variable_without_a_value_in_the_example_must_be_set_or_may_be_empty() -> None:
    commented = set(re.findall(r"^#([A-Z_]+)=", EXAMPLE, re.MULTILINE))
    assert not {name for name, default in variables(FILE).items() if default == "?"} & commented


@pytest.mark.parametrize("service", SETTINGS)
def test_each_variable_of_a_service_is_a_setting_and_each_that_it_needs_is_there(service: str) -> None:
    fields = msgspec.structs.fields(SETTINGS[service])
    known = {f"VEG_{field.name.upper()}" for field in fields}
    given = {name.removesuffix("_FILE") for name in COMPOSE["services"][service]["environment"]} - _OF_KUBERNETES
    assert given <= known
    assert {f"VEG_{field.name.upper()}" for field in fields if field.required} <= given


def test_each_secret_that_a_service_names_is_declared_and_used() -> None:
    used = set()
    for service in COMPOSE["services"].values():
        used |= {item if isinstance(item, str) else item["source"] for item in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])


def test_a_secret_in_a_service_is_its_own_or_public() -> None:
    holders: dict[str, list[str]] = {}
    for name, service in COMPOSE["services"].items():
        for item in service.get("secrets", []):
            holders.setdefault(item if isinstance(item, str) else item["source"], []).append(name)
    assert {secret: names for secret, names in holders.items() if len(names) > 1} == {"ca.crt": holders["ca.crt"]}
