"""The API server: a local copy of each kind that we need, kept by list and watch, and the few writes that we do."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from veg_lab.mini_kube_ovn.changes import Change, Create, Patch, Replace
from veg_lab.mini_kube_ovn.model import Json

LOG = logging.getLogger(__name__)

# A watch ends by itself after this time, so that a connection that died without a word is noticed.
WATCH_TIMEOUT_S = 240
RETRY_PAUSE_S = 0.5
REQUEST_TIMEOUT_S = 10

KINDS: dict[str, tuple[str, str]] = {
    "Pod": ("/api/v1", "pods"),
    "Namespace": ("/api/v1", "namespaces"),
    "Node": ("/api/v1", "nodes"),
    "Vpc": ("/apis/kubeovn.io/v1", "vpcs"),
    "Subnet": ("/apis/kubeovn.io/v1", "subnets"),
    "IPPool": ("/apis/kubeovn.io/v1", "ippools"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "VpcEgressGateway": ("/apis/kubeovn.io/v1", "vpc-egress-gateways"),
    "Service": ("/api/v1", "services"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "NetworkAttachmentDefinition": ("/apis/k8s.cni.cncf.io/v1", "network-attachment-definitions"),
}
# Followed only where Kube-OVN has gateways of its own.
GATEWAY_KINDS = ("Deployment", "VpcEgressGateway")
_EVENT_PATH = ("/api/v1", "events")


class ClusterError(Exception):
    """The API server could not be reached or refused; the next pass tries again."""


class Api:
    """Plain JSON in and out: of the client library we use connection, trust and credentials."""

    def __init__(self) -> None:
        config.load_kube_config()
        settings = client.Configuration.get_default_copy()
        # Who asks tries again by himself, and says so once instead of three times.
        settings.retries = False
        self._client = client.ApiClient(settings)
        # The name of the field manager, too: what Kube-OVN writes is seen as written by Kube-OVN.
        self._client.user_agent = "kube-ovn-controller"

    def request(self, method: str, path: str, body: Json | None = None, content: str = "application/json") -> Json:
        """One request. Raises ClusterError."""
        try:
            response = self._open(method, path, (), (body, content), REQUEST_TIMEOUT_S)
            data = response.read()
        except ApiException as error:
            raise ClusterError(f"{method} {path}: {error.status} {error.reason}") from error
        except urllib3.exceptions.HTTPError as error:
            raise ClusterError(f"{method} {path}: {error}") from error
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(method, path, response.status, data)
        parsed: Json = json.loads(data)
        return parsed

    def watch(self, path: str, version: str) -> Iterator[Json]:
        """Events of one watch. Raises ClusterError."""
        query = (
            ("watch", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(WATCH_TIMEOUT_S)),
            ("allowWatchBookmarks", "true"),
        )
        try:
            response = self._open("GET", path, query, (None, ""), WATCH_TIMEOUT_S + REQUEST_TIMEOUT_S)
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise _refusal("GET", path, response.status, response.read())
            rest = b""
            for chunk in response.stream(amt=None):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line)
        except ApiException as error:
            raise ClusterError(f"watch {path}: {error.status} {error.reason}") from error
        except urllib3.exceptions.HTTPError as error:
            raise ClusterError(f"watch {path}: {error}") from error

    def _open(
        self, method: str, path: str, query: tuple[tuple[str, str], ...], body: tuple[Json | None, str], timeout_s: int
    ) -> urllib3.HTTPResponse:
        headers = {"Accept": "application/json"} | ({"Content-Type": body[1]} if body[0] is not None else {})
        serialized = self._client.param_serialize(
            method, path, query_params=list(query), header_params=headers, body=body[0], auth_settings=["BearerToken"]
        )
        response: urllib3.HTTPResponse = self._client.call_api(*serialized, _request_timeout=timeout_s).response
        return response


class RefusedError(ClusterError):
    """The API server answered, with a status that says no."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _refusal(method: str, path: str, status: int, data: bytes) -> RefusedError:
    try:
        reason = json.loads(data).get("message", "")
    except ValueError:
        reason = data[:200].decode(errors="replace")
    return RefusedError(f"{method} {path}: {status} {reason}", status)


@dataclass
class Store:
    """The latest known objects of all kinds. `changed` is set whenever one of them changes."""

    api: Api
    kinds: tuple[str, ...]
    changed: threading.Event = field(default_factory=threading.Event)
    _objects: dict[str, dict[str, Json]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        for kind in self.kinds:
            threading.Thread(target=self._follow, args=(kind,), name=f"watch-{kind}", daemon=True).start()

    def synced(self) -> bool:
        """Whether every kind has been listed once. Before that, an absent object means nothing."""
        return len(self._objects) == len(self.kinds)

    def objects(self, kind: str) -> list[Json]:
        """Oldest first, so that who came first is served first."""
        with self._lock:
            found = list(self._objects[kind].values())
        return sorted(found, key=lambda o: (o["metadata"]["creationTimestamp"], o["metadata"]["name"]))

    def _follow(self, kind: str) -> None:
        path = "/".join(KINDS[kind])
        while True:
            try:
                version = self._list(kind, path)
                while version:
                    version = self._watch(kind, path, version)
            except ClusterError as error:
                LOG.warning("%s", error)
            time.sleep(RETRY_PAUSE_S)

    def _list(self, kind: str, path: str) -> str:
        answer = self.api.request("GET", path)
        with self._lock:
            self._objects[kind] = {item["metadata"]["uid"]: item for item in answer.get("items") or ()}
        self.changed.set()
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, kind: str, path: str, version: str) -> str:
        """Follows one watch to its end; returns where to go on, or nothing if a new list is needed."""
        for event in self.api.watch(path, version):
            item = event["object"]
            if event["type"] == "ERROR":
                LOG.info("watch of %s: %s", kind, item.get("message", ""))
                return ""
            version = item["metadata"]["resourceVersion"]
            if event["type"] == "BOOKMARK":
                continue
            with self._lock:
                if event["type"] == "DELETED":
                    self._objects[kind].pop(item["metadata"]["uid"], None)
                else:
                    self._objects[kind][item["metadata"]["uid"]] = item
            self.changed.set()
        return version


def apply(api: Api, change: Change) -> None:
    """An object that exists already, or has gone, or has become another one is no error. Raises ClusterError."""
    harmless = (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND)
    try:
        match change:
            case Create():
                harmless = (HTTPStatus.CONFLICT, HTTPStatus.CONFLICT)
                api.request("POST", _collection(change.kind, change.namespace), change.body)
            case Replace():
                path = f"{_collection(change.kind, change.namespace)}/{change.name}"
                api.request("PUT", path, change.body)
            case Patch():
                path = f"{_collection(change.kind, change.namespace)}/{change.name}"
                end = "/status" if change.status else ""
                api.request("PATCH", path + end, change.body, "application/merge-patch+json")
    except RefusedError as error:
        if error.status not in harmless:
            raise


def emit_warning(api: Api, pod: Json, reason: str, message: str) -> None:
    """A Kubernetes Event about a pod. Raises ClusterError."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    meta = pod["metadata"]
    involved: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod"}
    involved |= {key: meta[key] for key in ("namespace", "name", "uid", "resourceVersion")}
    body: Json = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
        "involvedObject": involved,
        "type": "Warning",
        "reason": reason,
        "message": message,
        "source": {"component": "kube-ovn-controller"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    group, plural = _EVENT_PATH
    api.request("POST", f"{group}/namespaces/{meta['namespace']}/{plural}", body)


def _collection(kind: str, namespace: str) -> str:
    group, plural = KINDS[kind]
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{group}{scope}/{plural}"
