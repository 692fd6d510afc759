"""The project of docker-compose.yml: its settings for a lab, and the commands that a user gives."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose.engine import Engine
from support.lab import ROOT, Lab

from veg_lab import control_plane, paths, services

HEALTHY_WITHIN_S = 60
_ROLES = ("watcher", "kube-writer", "bus-auth")


@dataclass(frozen=True)
class Project:
    engine: Engine
    settings: Path

    def command(self, *words: str) -> list[str]:
        file = ROOT / "docker-compose.yml"
        return ["docker-compose", "--file", str(file), "--env-file", str(self.settings), *words]

    def compose(self, *words: str, timeout_s: float = 120) -> str:
        return self.engine.run(*self.command(*words), timeout_s=timeout_s).stdout

    def up(self) -> None:
        """All of it, healthy within the time that a user is promised."""
        self.compose(
            "up", "--detach", "--wait", "--wait-timeout", str(HEALTHY_WITHIN_S), timeout_s=HEALTHY_WITHIN_S + 10
        )

    def containers(self) -> dict[str, Any]:
        """What the engine says of each container, by service."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {line["Service"]: self.engine.inspect(line["ID"]) for line in map(json.loads, lines)}

    def leftovers(self) -> str:
        """Containers, networks and volumes that the engine still has."""
        listed = (
            self.engine.docker("ps", "--all", "--quiet"),
            self.engine.docker("network", "ls", "--quiet", "--filter", "driver=bridge"),
            self.engine.docker("volume", "ls", "--quiet"),
        )
        return "".join(listed)


def make(lab: Lab, made: paths.Lab, engine: Engine) -> Project:
    """The settings of a user whose cluster is the lab, and the secrets that compose/secrets makes of them."""
    own = engine.directory.parent / "project"
    own.mkdir(mode=0o700)
    machine = paths.MACHINE_ADDRESS
    # Gateway pods take the way that the lab has for its own bus, of which Compose's has address and port.
    (planner,) = (component for component in services.components(made) if component.name == "planner")
    values = {
        "GATEWAY_IMAGE": "localhost/veg/gw-agent:dev",
        "OVN_NB_REMOTE": f"tcp:{machine}:6641",
        "OVN_SB_REMOTE": f"tcp:{machine}:6642",
        "GATEWAY_NATS_URL": planner.environment["VEG_AGENT_NATS_URL"].replace("nats://", "tls://"),
        "GATEWAY_NATS_VIA": "cluster",
        "MANAGEMENT_NETWORK": planner.environment["VEG_MANAGEMENT_NETWORK"],
        "BFD_RELAY": "on",
        "SECRETS_DIR": str(own / "secrets"),
    }
    for role in _ROLES:
        file = own / f"{role}.kubeconfig"
        words = (str(ROOT / "compose" / "kubeconfig"), role, control_plane.api_server_url())
        file.write_text(lab.call("run", "--", *words))
        values[f"{role.upper().replace('-', '_')}_KUBECONFIG"] = str(file)
    project = Project(engine, own / "settings.env")
    project.settings.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    engine.run(str(ROOT / "compose" / "secrets"), str(project.settings))
    return project
