"""Which kinds are watched, and where the API server has them."""

from dataclasses import dataclass
from typing import Final

from veg_contracts import names, objects


@dataclass(frozen=True)
class Kind:
    """A kind of object. `optional`: the cluster may well live without it, so its absence is nothing to worry about."""

    name: str
    group: str
    version: str
    plural: str
    optional: bool = False
    label_selector: str = ""

    @property
    def path(self) -> str:
        """The collection over all namespaces. The core group has its own root, for historical reasons."""
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}/{self.plural}"


_OURS: Final = f"{names.LABEL_APP}={names.APP}"

_OTHERS: Final = (
    Kind(objects.Vpc.KIND, names.KUBE_OVN_GROUP, names.VERSION, "vpcs"),
    Kind(objects.Subnet.KIND, names.KUBE_OVN_GROUP, names.VERSION, "subnets"),
    Kind(objects.IPPool.KIND, names.KUBE_OVN_GROUP, names.VERSION, "ippools", optional=True),
    Kind(objects.Pod.KIND, "", "v1", "pods"),
    Kind(objects.Namespace.KIND, "", "v1", "namespaces"),
    Kind(objects.Node.KIND, "", "v1", "nodes"),
    Kind(objects.Deployment.KIND, "apps", "v1", "deployments", label_selector=_OURS),
    Kind(objects.DisruptionBudget.KIND, "policy", "v1", "poddisruptionbudgets", label_selector=_OURS),
    Kind(objects.NetworkAttachment.KIND, "k8s.cni.cncf.io", "v1", "network-attachment-definitions", optional=True),
)


def kinds(group: names.ApiGroup) -> tuple[Kind, ...]:
    """All of them; `group` is the API group of VpcEgressGateway."""
    return (Kind(objects.EgressGateway.KIND, group, names.VERSION, names.PLURAL), *_OTHERS)
