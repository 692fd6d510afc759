"""Which settings follow from a cluster: as variables of the services, and as values of the chart. Pure."""

from typing import Any, Final

from veg_contracts import names
from vegctl.preflight.facts import Fact

# Field -> the environment variable of the services, and the path of the value in the chart.
NAMES: Final = {
    "api_group": ("VEG_API_GROUP", "apiGroup"),
    "default_vpc": ("VEG_DEFAULT_VPC", "planner.defaultVpc"),
    "custom_vpc_routing": ("VEG_CUSTOM_VPC_ROUTING", "planner.customVpcRouting"),
    "manage_bfd_ports": ("VEG_MANAGE_BFD_PORTS", "planner.manageBfdPorts"),
    "bfd_relay": ("VEG_BFD_RELAY", "planner.bfdRelay"),
    "management_network": ("VEG_MANAGEMENT_NETWORK", "managementNetwork.existing"),
}


class Values(Fact, frozen=True, kw_only=True):
    """What the services should be started with here."""

    api_group: names.ApiGroup = names.KUBE_OVN_GROUP
    default_vpc: str = names.DEFAULT_VPC
    custom_vpc_routing: str = "auto"
    manage_bfd_ports: str = "auto"
    bfd_relay: str = "auto"
    management_network: str = ""

    @property
    def makes_bfd_ports(self) -> bool:
        """Whether the ports of `Vpc.spec.bfdPort` are ours to make: what the planner makes of "auto"."""
        auto = self.api_group == names.KUBE_OVN_GROUP
        return auto if self.manage_bfd_ports == "auto" else self.manage_bfd_ports == "true"

    @property
    def settings(self) -> dict[str, str]:
        """As environment variables."""
        return {variable: getattr(self, field) for field, (variable, _) in NAMES.items()}

    @property
    def chart(self) -> dict[str, Any]:
        """As values of the chart."""
        found: dict[str, Any] = {}
        for field, (_, path) in NAMES.items():
            *above, name = path.split(".")
            into = found
            for each in above:
                into = into.setdefault(each, {})
            into[name] = getattr(self, field)
        return found
