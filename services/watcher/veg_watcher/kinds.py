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

KINDS: Final = (
    Kind(objects.EgressGateway.KIND, names.GROUP, names.VERSION, names.PLURAL),
    Kind(objects.Vpc.KIND, names.GROUP, names.VERSION, "vpcs"),
    Kind(objects.Subnet.KIND, names.GROUP, names.VERSION, "subnets"),
    Kind(objects.IPPool.KIND, names.GROUP, names.VERSION, "ippools", optional=True),
    Kind(objects.Pod.KIND, "", "v1", "pods"),
    Kind(objects.Namespace.KIND, "", "v1", "namespaces"),
    Kind(objects.Node.KIND, "", "v1", "nodes"),
    Kind(objects.Deployment.KIND, "apps", "v1", "deployments", label_selector=_OURS),
    Kind(objects.NetworkAttachment.KIND, "k8s.cni.cncf.io", "v1", "network-attachment-definitions", optional=True),
)
