"""Reads of a lab's API server over a connection that stays open: 3 ms, where kubectl takes 200 and a core."""

import http.client
import json
import ssl
import threading
from typing import Any
from urllib.parse import urlencode, urlsplit

from veg_lab import netns, paths

_KUBE_OVN, _OWN = "apis/kubeovn.io/v1", "apis/vpc-egress-gateway.io/v1"
# Kind, as the tests name it -> where it is, its plural, and whether it is in namespaces.
_KINDS = {
    "pod": ("api/v1", "pods", True),
    "namespace": ("api/v1", "namespaces", False),
    "node": ("api/v1", "nodes", False),
    "deployment": ("apis/apps/v1", "deployments", True),
    "pdb": ("apis/policy/v1", "poddisruptionbudgets", True),
    "subnet": (_KUBE_OVN, "subnets", False),
    "vpc": (_KUBE_OVN, "vpcs", False),
    "veg": (_KUBE_OVN, "vpc-egress-gateways", True),
    "vpc-egress-gateways.kubeovn.io": (_KUBE_OVN, "vpc-egress-gateways", True),
    "vpc-egress-gateways.vpc-egress-gateway.io": (_OWN, "vpc-egress-gateways", True),
}
_SELECTORS = {"-l": "labelSelector", "--field-selector": "fieldSelector"}
_TIMEOUT_S = 20.0

Json = dict[str, Any]


class RefusedError(Exception):
    """The API server said no, with this HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class UnknownWordsError(Exception):
    """A question that only kubectl understands."""


class Api:
    """The API server of one lab. May be used by several threads."""

    def __init__(self, lab: paths.Lab) -> None:
        self._lab = lab
        self._lock = threading.Lock()
        self._connection: http.client.HTTPSConnection | None = None
        self._token = ""

    def get(self, *words: str) -> Json:
        """What `kubectl get WORDS -o json` says: one object, or a list of those of one or more kinds.

        Raises:
            RefusedError: it is not there, or the server refuses.
            UnknownWordsError: WORDS are more than kinds, a name, -n, -A, -l and --field-selector.
            OSError: no server answers.
        """
        kinds, name, namespace, query = _parse(words)
        found = [self._read(kind, name, namespace, query) for kind in kinds]
        if name:
            return found[0]
        return {"items": [item for each in found for item in each["items"]]}

    def _read(self, kind: str, name: str, namespace: str, query: dict[str, str]) -> Json:
        group, plural, namespaced = _KINDS[kind]
        parts = [
            group,
            *(("namespaces", namespace) if namespaced and namespace else ()),
            plural,
            *([name] if name else ()),
        ]
        answer = self._ask(f"/{'/'.join(parts)}?{urlencode(query)}")
        own = str(answer["kind"]).removesuffix("List")
        for item in answer.get("items", ()):
            item.setdefault("kind", own)  # the items of a list of Kubernetes' own do not say what they are
        return answer

    def _ask(self, target: str) -> Json:
        with self._lock:
            try:
                status, body = self._exchange(target)
            except (OSError, http.client.HTTPException):  # the server was restarted, or another lab has its name now
                self._connection = None
                try:
                    status, body = self._exchange(target)
                except http.client.HTTPException as error:
                    raise ConnectionError(repr(error)) from error
        if status != http.HTTPStatus.OK:
            raise RefusedError(status, body.decode(errors="replace"))
        answer: Json = json.loads(body)
        return answer

    def _exchange(self, target: str) -> tuple[int, bytes]:
        connection = self._connection or self._connect()
        self._connection = None  # unless it goes well
        connection.request("GET", target, headers={"Authorization": f"Bearer {self._token}"})
        with connection.getresponse() as response:
            answer = response.status, response.read()
        self._connection = connection
        return answer

    def _connect(self) -> http.client.HTTPSConnection:
        config = json.loads(self._lab.kubeconfig("admin").read_text())
        cluster = config["clusters"][0]["cluster"]
        self._token = config["users"][0]["user"]["token"]
        server = urlsplit(cluster["server"])
        context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        made = http.client.HTTPSConnection(server.hostname or "", server.port, timeout=_TIMEOUT_S, context=context)
        with netns.entered(self._lab.namespace()):
            made.connect()
        return made


def _parse(words: tuple[str, ...]) -> tuple[list[str], str, str, dict[str, str]]:
    """The kinds, the name or "", the namespace or "" for all, and the query."""
    plain: list[str] = []
    namespace = "default"
    query: dict[str, str] = {}
    rest = [part for word in words for part in (word.split("=", 1) if word.startswith("--field") else [word])]
    while rest:
        match rest.pop(0):
            case "-A":
                namespace = ""
            case "-n" if rest:
                namespace = rest.pop(0)
            case option if option in _SELECTORS and rest:
                query[_SELECTORS[option]] = rest.pop(0)
            case option if option.startswith("-"):
                raise UnknownWordsError(option)
            case word:
                plain.append(word)
    kinds, name = plain[0].split(","), plain[1] if len(plain) > 1 else ""
    if not set(kinds) <= _KINDS.keys() or len(plain) > 2 or (name and len(kinds) > 1):
        raise UnknownWordsError(" ".join(words))
    return kinds, name, namespace, query
