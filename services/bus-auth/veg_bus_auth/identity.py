"""From the review of a token to the gateway of its pod: one step for each object that is read, and why it stops there.

Names and owners in an object are its author's words. So each object is asked for by the name that the one before gave,
and must have the uid that this one gave: whoever names a foreign owner cannot know that its owner is his as well.
"""

import re
from typing import Final

import msgspec

from veg_contracts import names
from veg_contracts.base import KubernetesValue, Value

_ACCOUNT: Final = re.compile(r"system:serviceaccount:([a-z0-9-]{1,63}):[a-z0-9.-]{1,253}")
_POD_NAME: Final = "authentication.kubernetes.io/pod-name"
_POD_UID: Final = "authentication.kubernetes.io/pod-uid"
# Of RFC 1123, as for all objects asked for here. It becomes a part of a path.
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_FINISHED: Final = ("Succeeded", "Failed")


class DeniedError(Exception):
    """Somebody may not come in. The message is one line for a log, which names the object and holds no token."""


class Identity(Value, frozen=True, kw_only=True):
    """The pod that a token is bound to, as the API server says."""

    namespace: str
    pod: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}"


class Ref(Value, frozen=True, kw_only=True):
    """An object that another one names as its owner."""

    kind: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class _Account(KubernetesValue, frozen=True, kw_only=True):
    username: str = ""
    extra: dict[str, list[str]] = {}


class _ReviewStatus(KubernetesValue, frozen=True, kw_only=True):
    authenticated: bool = False
    audiences: tuple[str, ...] = ()
    user: _Account = _Account()
    error: str = ""


class Review(KubernetesValue, frozen=True, kw_only=True):
    """A TokenReview that was answered."""

    status: _ReviewStatus = _ReviewStatus()


class _Owner(KubernetesValue, frozen=True, kw_only=True):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class _Metadata(KubernetesValue, frozen=True, kw_only=True):
    name: str = ""
    uid: str = ""
    owner_references: tuple[_Owner, ...] = ()


class _Spec(KubernetesValue, frozen=True, kw_only=True):
    prefix: str = ""


class _Status(KubernetesValue, frozen=True, kw_only=True):
    phase: str = ""


class Found(KubernetesValue, frozen=True, kw_only=True):
    """An object of the API server: of a pod, ReplicaSet, Deployment or gateway what is looked at here.

    `spec.prefix` is a gateway's, `status.phase` a pod's.
    """

    metadata: _Metadata = _Metadata()
    spec: _Spec = _Spec()
    status: _Status = _Status()


def pod_of(review: Review, audience: str) -> Identity:
    """The pod that the token is bound to. Raises DeniedError."""
    status = review.status
    if not status.authenticated:
        raise DeniedError(f"the API server refuses the token: {status.error or 'it is not authenticated'}"[:500])
    if audience not in status.audiences:
        raise DeniedError(f"the token is not for audience {audience!r}")
    account = _ACCOUNT.fullmatch(status.user.username)
    if account is None:
        raise DeniedError(f"user {status.user.username[:300]!r}: only a ServiceAccount's token is taken")
    pods, uids = (status.user.extra.get(key, []) for key in (_POD_NAME, _POD_UID))
    if len(pods) != 1 or len(uids) != 1:
        raise DeniedError(f"{status.user.username}: the token is bound to no pod")
    return Identity(namespace=account[1], pod=_name("pod", pods[0]), uid=uids[0])


def replica_set_of(pod: Found | None, identity: Identity) -> Ref:
    """The ReplicaSet that controls the pod. Raises DeniedError."""
    if pod is None or pod.metadata.uid != identity.uid:
        raise DeniedError(f"pod {identity}: it is gone")
    if pod.status.phase in _FINISHED:
        raise DeniedError(f"pod {identity}: it has finished ({pod.status.phase})")
    return _controller(pod, f"pod {identity}", "apps/v1", "ReplicaSet")


def deployment_of(replica_set: Found | None, ref: Ref, identity: Identity) -> Ref:
    """The Deployment that controls this ReplicaSet of the pod. Raises DeniedError."""
    there = _same(replica_set, ref, identity)
    return _controller(there, f"pod {identity}: its {ref}", "apps/v1", "Deployment")


def gateway_of(deployment: Found | None, ref: Ref, identity: Identity, group: str) -> Ref:
    """The gateway of this API group that owns this Deployment of the pod. Raises DeniedError."""
    there = _same(deployment, ref, identity)
    owners = [
        owner
        for owner in there.metadata.owner_references
        if owner.kind == names.KIND and owner.api_version == names.api_version(group)
    ]
    if len(owners) != 1:
        raise DeniedError(f"pod {identity}: its {ref} belongs to {len(owners) or 'no'} {names.KIND} of {group}")
    return _ref(owners[0])


def check_gateway(gateway: Found | None, ref: Ref, deployment: Ref, identity: Identity) -> str:
    """The gateway's key (`namespace/name`), if that Deployment is the one that is made for it. Raises DeniedError.

    Whoever may make Deployments in that namespace can name the gateway as an owner, but there is only one of that name,
    and our writer keeps it as the plan says.
    """
    there = _same(gateway, ref, identity)
    own = f"{there.spec.prefix}{ref.name}"
    if deployment.name != own:
        raise DeniedError(f"pod {identity}: its {deployment} is not that of {ref}, which is called {own}")
    return f"{identity.namespace}/{ref.name}"


def _controller(child: Found, what: str, api_version: str, kind: str) -> Ref:
    for owner in child.metadata.owner_references:
        if owner.controller and owner.kind == kind and owner.api_version == api_version:
            return _ref(owner)
    raise DeniedError(f"{what}: no {kind} controls it, so it is not of a gateway")


def _ref(owner: _Owner) -> Ref:
    return Ref(kind=owner.kind, name=_name(owner.kind, owner.name), uid=owner.uid)


def _same(found: Found | None, ref: Ref, identity: Identity) -> Found:
    if found is None or not ref.uid or found.metadata.uid != ref.uid:
        raise DeniedError(f"pod {identity}: its {ref} with uid {ref.uid[:64]!r} is not there")
    return found


def _name(kind: str, text: str) -> str:
    if _NAME.fullmatch(text) is None or ".." in text:
        raise DeniedError(f"{kind} {text[:253]!r}: that is no name")
    return text


def read_review(body: bytes) -> Review:
    """Raises msgspec.MsgspecError."""
    return msgspec.json.decode(body, type=Review)


def read_object(body: bytes) -> Found:
    """Raises msgspec.MsgspecError."""
    return msgspec.json.decode(body, type=Found)
