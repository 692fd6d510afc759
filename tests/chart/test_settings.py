"""Each variable of a container is a setting that its program reads, and none that it needs is missing."""

import base64
import re

import msgspec
import pytest
from chart.rendering import SETS, containers, of_kind, variables, workloads

from veg_bus_auth.main import BusAuthSettings
from veg_kube_writer.main import KubeWriterSettings
from veg_ovn_writer.main import OvnWriterSettings
from veg_planner.main import ServiceSettings
from veg_runtime import nkeys
from veg_runtime.settings import load
from veg_watcher.main import WatcherSettings

SETTINGS: dict[str, type[msgspec.Struct]] = {
    "watcher": WatcherSettings,
    "planner": ServiceSettings,
    "ovn-writer": OvnWriterSettings,
    "kube-writer": KubeWriterSettings,
    "bus-auth": BusAuthSettings,
}


@pytest.mark.parametrize("role", SETTINGS)
@pytest.mark.parametrize("name", SETS)
def test_variables_are_settings(name: str, role: str) -> None:
    (container,) = (c for each in workloads(name) for c in containers(each) if c["name"] == role)
    given = {variable for variable in variables(container) if variable.startswith("VEG_")}
    fields = msgspec.structs.fields(SETTINGS[role])
    known = {f"VEG_{field.name.upper()}{end}" for field in fields for end in ("", "_FILE")}
    assert given - known == set(), "nobody reads it"
    needed = {f"VEG_{field.name.upper()}" for field in fields if field.required}
    assert {each for each in needed if not {each, f"{each}_FILE"} & given} == set()


@pytest.mark.parametrize("role", SETTINGS)
@pytest.mark.parametrize("name", SETS)
def test_the_program_takes_the_values(name: str, role: str) -> None:
    """As kubelet gives them: with addresses of Services filled in, and with files that are there."""
    (container,) = (c for each in workloads(name) for c in containers(each) if c["name"] == role)
    contents = {
        "VEG_NATS_PASSWORD": "secret",
        "VEG_POSTGRES_URL": "postgresql+psycopg://veg_planner:secret@/veg",
        "VEG_ISSUER_SEED": nkeys.new_seed(nkeys.Kind.ACCOUNT),
        "VEG_XKEY_SEED": nkeys.new_seed(nkeys.Kind.CURVE),
    }
    environment = {}
    for variable, value in variables(container).items():
        read = variable.removesuffix("_FILE")
        filled = re.sub(r"\$\(\w+_PORT\)", "6641", re.sub(r"\$\(\w+_HOST\)", "10.96.0.9", value))
        environment[read] = filled if read == variable else contents.get(read, authority())
    load(SETTINGS[role], environment)


def authority() -> str:
    """A certificate, as text."""
    (secret,) = (each for each in of_kind("evaluation", "Secret") if each["metadata"]["name"] == "veg-nats-tls")
    return base64.b64decode(secret["data"]["ca.crt"]).decode()


@pytest.mark.parametrize("role", [*SETTINGS, "migrate", "preflight"])
@pytest.mark.parametrize("name", SETS)
def test_a_variable_that_names_a_file_names_one_that_is_mounted(name: str, role: str) -> None:
    for workload in workloads(name):
        volumes = {volume["name"]: volume for volume in workload["spec"]["template"]["spec"]["volumes"]}
        for container in containers(workload):
            if container["name"] != role:
                continue
            there = {
                f"{mount['mountPath']}/{item['path']}"
                for mount in container["volumeMounts"]
                for item in items(volumes[mount["name"]])
            }
            named = {value for key, value in variables(container).items() if key.endswith(("_FILE", "ROOTCERT"))}
            assert named - there == set()


def items(volume: dict[str, object]) -> list[dict[str, str]]:
    """The files of a projected volume or of one Secret."""
    if isinstance(secret := volume.get("secret"), dict):
        return list(secret["items"])
    if isinstance(projected := volume.get("projected"), dict):
        return [item for source in projected["sources"] for item in source["secret"]["items"]]
    return []
