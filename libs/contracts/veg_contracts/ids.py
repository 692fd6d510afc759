"""Who may say which id. The log takes each id once, so an id that somebody else could say could be used up.

An id begins with its domain, and appears on the subjects of that domain alone:

| id | on |
|---|---|
| `k8s/…` | `veg.evt.k8s.>` |
| `ovn/…` | `veg.evt.ovn.>` |
| `<id of the command>/<outcome>` | `veg.evt.ovn.>` or `veg.evt.kube.>`, whose writer has that command |
| `agent/<namespace>/<pod>/<uid of the pod>/…` | `veg.evt.agent.<namespace>.<gateway>.<pod>` |
| `planner/…`, and outcomes of commands that were never sent | none: the planner appends them itself |

The bus says who may publish on which subject, down to the single pod. With the pod in the id, no pod can say the id of
another one, whichever uid it claims.
"""

from typing import Final

from veg_contracts.commands import MEMBERS
from veg_contracts.envelope import Envelope
from veg_contracts.intent import Part

_OVN: Final = "veg.evt.ovn."
_KUBE: Final = "veg.evt.kube."
_AGENT: Final = "veg.evt.agent."
_PREFIXES: Final = {"veg.evt.k8s.": "k8s/", _OVN: "ovn/"}
_NB_COMMANDS: Final = (f"cmd/{Part.NB.value}/", f"cmd/{MEMBERS}/")


def of_agent(gateway: str, pod: str, pod_uid: str, what: str) -> str:
    """The id of what the agent in a pod of a gateway (`namespace/name`) says; `what` is unique within the pod."""
    namespace, _, _ = gateway.rpartition("/")
    return f"agent/{namespace}/{pod}/{pod_uid}/{what}"


def refusal(envelope: Envelope) -> str | None:
    """Why an event with this id may not appear on its subject; None if it may.

    An agent's data must be known to be of the pod of the subject.
    """
    beginning = _beginning(envelope)
    if beginning is not None and envelope.id.startswith(beginning) and len(envelope.id) > len(beginning):
        return None
    wanted = f"only ids that begin with {beginning!r} may" if beginning is not None else "no event may"
    return f"{envelope.id!r} may not appear on subject {envelope.subject!r}, {wanted}"


def _beginning(envelope: Envelope) -> str | None:
    """What the id of this event has to begin with."""
    subject, data = envelope.subject, envelope.data
    if subject.startswith(_AGENT):
        return of_agent(data.gateway, data.pod, data.pod_uid, "")
    command = getattr(data, "command_id", None)
    if command is not None:
        of_nb = command.startswith(_NB_COMMANDS)
        mine = subject.startswith(_OVN) if of_nb else subject.startswith(_KUBE) and command.startswith("cmd/")
        return f"{command}/" if mine else None
    return next((prefix for root, prefix in _PREFIXES.items() if subject.startswith(root)), None)
