"""Where preflight looks, and what is asked of it: the settings of the services, as they have them."""

from typing import Literal

from veg_runtime.settings import Settings
from veg_runtime.tls import Pem
from vegctl.preflight.facts import Asked


class PreflightSettings(Settings, frozen=True, kw_only=True):
    """The environment, `VEG_…` each; a service's own variable has the same name.

    `nats_url` and `nb_remote` empty: NATS, or OVN, is not looked at. `ovn_tls_…`: PEM texts, for `ssl:` in `nb_remote`.
    `namespace`: where the ServiceAccounts are.
    """

    nats_url: str = ""
    nb_remote: str = ""
    ovn_tls_ca: str = ""
    ovn_tls_cert: str = ""
    ovn_tls_key: str = ""
    namespace: str = "kube-system"
    api_group: Literal["", "kubeovn.io", "vpc-egress-gateway.io"] = ""
    default_vpc: str = ""
    custom_vpc_routing: Literal["", "auto", "static-route", "policy"] = ""
    manage_bfd_ports: Literal["", "auto", "true", "false"] = ""
    bfd_relay: Literal["", "auto", "on", "off"] = ""
    management_network: str = ""
    agent_nats_url: str = ""

    @property
    def ovn_tls(self) -> Pem:
        """How to talk to `ssl:` remotes."""
        return Pem(prefix="VEG_OVN_TLS", ca=self.ovn_tls_ca, certificate=self.ovn_tls_cert, key=self.ovn_tls_key)

    def asked(self, vpcs: tuple[str, ...] = ()) -> Asked:
        """The settings that are judged."""
        return Asked(
            api_group=self.api_group,
            custom_vpc_routing=self.custom_vpc_routing,
            manage_bfd_ports=self.manage_bfd_ports,
            bfd_relay=self.bfd_relay,
            default_vpc=self.default_vpc,
            management_network=self.management_network,
            agent_nats_url=self.agent_nats_url,
            vpcs=vpcs,
            namespace=self.namespace,
        )
