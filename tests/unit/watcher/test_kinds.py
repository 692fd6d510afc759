from veg_contracts.names import KUBE_OVN_GROUP
from veg_contracts.objects import KINDS as CONTRACT_KINDS
from veg_watcher.kinds import kinds
from veg_watcher.project import PROJECTORS


def test_every_kind_of_the_contract_is_watched_once_and_can_be_projected() -> None:
    assert sorted(kind.name for kind in kinds(KUBE_OVN_GROUP)) == sorted(CONTRACT_KINDS)
    assert set(PROJECTORS) == set(CONTRACT_KINDS)


def test_paths_are_those_of_the_api() -> None:
    paths = {kind.name: kind.path for kind in kinds(KUBE_OVN_GROUP)}
    assert paths["Pod"] == "/api/v1/pods"
    assert paths["Deployment"] == "/apis/apps/v1/deployments"
    assert paths["PodDisruptionBudget"] == "/apis/policy/v1/poddisruptionbudgets"
    assert paths["VpcEgressGateway"] == "/apis/kubeovn.io/v1/vpc-egress-gateways"
    assert paths["NetworkAttachmentDefinition"] == "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions"


def test_only_what_a_cluster_may_lack_is_optional() -> None:
    assert {kind.name for kind in kinds(KUBE_OVN_GROUP) if kind.optional} == {"IPPool", "NetworkAttachmentDefinition"}


def test_of_deployments_and_budgets_only_ours_are_watched() -> None:
    assert {kind.name: kind.label_selector for kind in kinds(KUBE_OVN_GROUP) if kind.label_selector} == {
        "Deployment": "app=vpc-egress-gateway",
        "PodDisruptionBudget": "app=vpc-egress-gateway",
    }
