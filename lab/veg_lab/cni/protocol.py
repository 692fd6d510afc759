"""What the plugin and the daemon say to each other, and to containerd: the CNI specification as values. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from veg_lab.cni.network_plan import PLUGIN, Allocation, Json, NetworkKey, NetworkPlan, Port, family

STATUS_ANNOTATION = "k8s.v1.cni.cncf.io/network-status"
# Codes of the specification; from 100 on they are the plugin's own.
BAD_CONFIG = 7
TRY_AGAIN_LATER = 11
FAILED = 999
_DEFAULT_VERSION = "0.3.1"
_CONTAINER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class CniError(Exception):
    """The request failed; kubelet shows the message in the pod's event FailedCreatePodSandBox."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """The pod that a sandbox is for. `uid` is empty when the runtime does not say it."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the plugin: the variables CNI_… and its standard input."""

    command: str
    container: str
    netns: str
    interface: str
    arguments: str
    path: str
    config: Json

    @property
    def version(self) -> str:
        """The version in which the answer is expected."""
        return str(self.config.get("cniVersion") or _DEFAULT_VERSION)

    @property
    def provider(self) -> str | None:
        """Whose addresses are asked for; None when the plugin is called for the pod's network itself."""
        if self.config.get("type") == PLUGIN:
            return None
        provider = (self.config.get("ipam") or {}).get("provider")
        if not provider:
            raise CniError(BAD_CONFIG, f"network {self.config.get('name')}: ipam.provider is missing")
        return str(provider)

    @property
    def pod(self) -> PodIdentity:
        """Raises CniError: the runtime does not say which pod it is."""
        values = dict(part.partition("=")[::2] for part in self.arguments.split(";"))
        try:
            identity = (values["K8S_POD_NAMESPACE"], values["K8S_POD_NAME"])
        except KeyError as error:
            raise CniError(BAD_CONFIG, f"CNI_ARGS={self.arguments!r}: {error.args[0]} is missing") from error
        return PodIdentity(*identity, values.get("K8S_POD_UID", ""))


def read_request(variables: Mapping[str, str], body: bytes) -> Request:
    """The request that the plugin handed on.

    Raises:
        CniError: it is none.
    """
    try:
        config = json.loads(body)
    except ValueError as error:
        raise CniError(BAD_CONFIG, f"the configuration is not JSON: {error}") from error
    container = variables.get("CNI_CONTAINERID", "")
    if not isinstance(config, dict) or not _CONTAINER_ID.fullmatch(container):
        raise CniError(BAD_CONFIG, f"CNI_CONTAINERID={container!r}: no container's id, or no configuration")
    names = ("CNI_COMMAND", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH")
    command, netns, interface, arguments, path = (variables.get(name, "") for name in names)
    return Request(command, container, netns, interface, arguments, path, config)


def error_answer(error: CniError) -> Json:
    """The answer to a request that failed."""
    return {"cniVersion": _DEFAULT_VERSION, "code": error.code, "msg": str(error), "details": ""}


def network_result(request: Request, plan: NetworkPlan, host_interface: str) -> Json:
    """The answer to a runtime that asked for the pod's network: eth0, whose addresses become the pod's."""
    interfaces = [{"name": host_interface}, {"name": "eth0", "mac": plan.eth0.mac, "sandbox": request.netns}]
    ips = [{**entry, "interface": 1} for entry in _ips(request.version, plan.eth0)]
    routes = [{"dst": route.destination, "gw": route.gateway} for route in plan.routes]
    return {"cniVersion": request.version, "interfaces": interfaces, "ips": ips, "routes": routes, "dns": {}}


def ipam_result(version: str, allocation: Allocation) -> Json:
    """The answer to a plugin that asked for the addresses of its interface."""
    routes = [{"dst": route.destination, "gw": route.gateway} for route in allocation.routes]
    return {"cniVersion": version, "ips": _ips(version, allocation), "routes": routes, "dns": {}}


def _ips(version: str, allocation: Allocation) -> list[Json]:
    entries: list[Json] = []
    for address in allocation.addresses:
        gateway = allocation.gateway_of(address)
        # Required up to version 0.4, and gone with 1.0.
        kind = {"version": str(family(address))} if version.startswith("0.") else {}
        entries.append({**kind, "address": address, **({"gateway": gateway} if gateway else {})})
    return entries


def port_result(port: Port) -> Json:
    """What the plugin of an attachment in OVN says of its interface."""
    inside = {"name": port.interface, "mac": port.allocation.mac, "sandbox": port.interface}
    return {"interfaces": [inside], "ips": [{"address": address} for address in port.allocation.addresses]}


def network_status(plan: NetworkPlan, results: Sequence[Json]) -> str:
    """The value of the annotation network-status: eth0, then what the plugins of the attachments answered."""
    eth0 = _status(PLUGIN, "eth0", [_bare(address) for address in plan.eth0.addresses], plan.eth0.mac)
    attached = [
        _attachment_status(attachment.network, attachment.interface, result)
        for attachment, result in zip(plan.attachments, results, strict=True)
    ]
    return json.dumps([{**eth0, "default": True}, *attached])


def _attachment_status(network: NetworkKey, interface: str, result: Json) -> Json:
    inside = [
        found for found in result.get("interfaces", []) if found.get("name") == interface and found.get("sandbox")
    ]
    ips = [_bare(entry["address"]) for entry in result.get("ips", [])]
    return _status("/".join(network), interface, ips, inside[0].get("mac", "") if inside else "")


def _status(network: str, interface: str, ips: list[str], mac: str) -> Json:
    return {"name": network, "interface": interface, "ips": ips, "mac": mac, "dns": {}}


def _bare(address: str) -> str:
    return str(ip_interface(address).ip)


def failure_of(output: str) -> str:
    """What a plugin that failed says of it, in its own words."""
    try:
        said: Any = json.loads(output)
        return f"{said['msg']} {said.get('details') or ''}".strip()
    except (ValueError, KeyError, TypeError):
        return output.strip()[-500:]
