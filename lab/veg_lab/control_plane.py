"""Kubernetes' control plane: etcd, API server, controller manager, scheduler, their keys and kubeconfigs."""

import json
import secrets
from collections.abc import Mapping, Sequence

from veg_lab import certificates, netns, probes
from veg_lab.certificates import Pair
from veg_lab.nodes.inventory import CONTROL_PLANE_ADDRESS
from veg_lab.paths import MACHINE_ADDRESS, Lab
from veg_lab.process import Component

API_SERVER = "https://127.0.0.1:6443"
SERVICE_NETWORK = "10.96.0.0/16"
_SERVICE_ADDRESS = "10.96.0.1"  # of the API server: the first one of the network
_ETCD = "http://127.0.0.1:2379"
# User -> its group. The controller manager acts for all controllers, so it may do everything.
USERS = {
    "admin": "system:masters",
    "kube-ovn": "veg-lab",
    "watcher": "veg-lab",
    "kube-writer": "veg-lab",
    "bus-auth": "veg-lab",
    "kube-controller-manager": "system:masters",
    "kube-scheduler": "system:masters",
}
_CONTROLLERS = (
    "deployment",
    "replicaset",
    "daemonset",
    "statefulset",
    "job",
    "endpointslice",
    "garbagecollector",
    "namespace",
    "podgc",
    "disruption",
    "serviceaccount",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "node-lifecycle-controller",
    "taint-eviction-controller",
)
# A node that is silent this long is not ready; a kubelet renews its lease every 2 s.
NODE_GRACE_S = 8
# Pods that say nothing else leave a node that is not ready after this time (Kubernetes: 300 s).
EVICTION_S = 60
# The default of 20 requests per second would take half a minute for 600 pods.
_FAST_CLIENT = ("--kube-api-qps=500", "--kube-api-burst=1000")


def prepare(lab: Lab) -> None:
    """Keys, tokens and kubeconfigs; made once, kept for the life of the lab."""
    _make_keys(lab)
    tokens = _tokens(lab)
    for user, token in tokens.items():
        _write_kubeconfig(lab, user, token)


def _make_keys(lab: Lab) -> None:
    pki = lab.run / "pki"
    if (pki / "service-account.key").exists():  # the last one that is made
        return
    pki.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = Pair.at(pki, "ca")
    certificates.make_authority(authority, "/CN=veg-lab")
    addresses = ("127.0.0.1", MACHINE_ADDRESS, CONTROL_PLANE_ADDRESS, _SERVICE_ADDRESS)
    names = f"subjectAltName={''.join(f'IP:{each},' for each in addresses)}DNS:localhost,DNS:kubernetes.default.svc"
    certificates.issue(Pair.at(pki, "apiserver"), authority, "/CN=kube-apiserver", names)
    certificates.issue(Pair.at(pki, "kubelet-client"), authority, "/CN=kube-apiserver-kubelet-client")
    certificates.make_key(pki / "service-account.key")


def _tokens(lab: Lab) -> dict[str, str]:
    file = lab.secret("tokens.csv")
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        rows = (f'{secrets.token_hex(24)},{user},{user},"{group}"\n' for user, group in USERS.items())
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text("".join(rows))
        draft.rename(file)
    return {user: token for token, user, *_ in (line.split(",") for line in file.read_text().splitlines())}


def _write_kubeconfig(lab: Lab, user: str, token: str) -> None:
    path = lab.kubeconfig(user)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(kubeconfig(lab, API_SERVER, user, {"token": token}))


def kubeconfig(lab: Lab, server: str, user: str, credentials: Mapping[str, str]) -> str:
    """The text of a kubeconfig by which a user reaches the API server under this URL."""
    cluster = {"server": server, "certificate-authority": f"{lab.run}/pki/ca.crt"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": lab.name, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": lab.name, "context": {"cluster": lab.name, "user": user}}],
        "current-context": lab.name,
    }
    return json.dumps(config, indent=1) + "\n"  # JSON is YAML


def api_server_url() -> str:
    """The API server as the nodes reach it."""
    return f"https://{MACHINE_ADDRESS}:6443"


def components(lab: Lab) -> list[Component]:
    """The four daemons, in the order of their start."""
    return [_etcd(lab), _api_server(lab), _controller_manager(lab), _scheduler(lab)]


def _component(lab: Lab, name: str, argv: Sequence[str], probe: probes.Probe) -> Component:
    return Component(name, tuple(argv), probe, lab.namespace(), ready_within_s=60.0)


def _etcd(lab: Lab) -> Component:
    argv = (
        str(lab.kubernetes / "etcd"),
        f"--data-dir={lab.run}/etcd",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--log-level=warn",
        "--unsafe-no-fsync",  # a lab's data need not survive the machine
    )
    return _component(lab, "etcd", argv, probes.answers(lab.namespace(), f"{_ETCD}/health"))


def _api_server(lab: Lab) -> Component:
    pki = lab.run / "pki"
    argv = (
        str(lab.kubernetes / "kube-apiserver"),
        f"--etcd-servers={_ETCD}",
        "--bind-address=0.0.0.0",
        "--secure-port=6443",
        # The endpoint of the Service `kubernetes`: a node, since pods reach nodes whatever gateway they have.
        f"--advertise-address={CONTROL_PLANE_ADDRESS}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--token-auth-file={lab.secret('tokens.csv')}",
        f"--client-ca-file={pki}/ca.crt",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--default-not-ready-toleration-seconds={EVICTION_S}",
        f"--default-unreachable-toleration-seconds={EVICTION_S}",
        f"--kubelet-client-certificate={pki}/kubelet-client.crt",
        f"--kubelet-client-key={pki}/kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/service-account.key",
        f"--service-account-signing-key-file={pki}/service-account.key",
    )
    token = _tokens(lab)["admin"] if lab.secret("tokens.csv").exists() else None
    ready = probes.answers(lab.namespace(), f"{API_SERVER}/readyz", ca=pki / "ca.crt", token=token)
    return _component(lab, "kube-apiserver", argv, ready)


def _controller_manager(lab: Lab) -> Component:
    argv = (
        str(lab.kubernetes / "kube-controller-manager"),
        f"--kubeconfig={lab.kubeconfig('kube-controller-manager')}",
        f"--controllers={','.join(_CONTROLLERS)}",
        f"--root-ca-file={lab.run}/pki/ca.crt",
        f"--service-account-private-key-file={lab.run}/pki/service-account.key",
        "--node-monitor-period=1s",
        f"--node-monitor-grace-period={NODE_GRACE_S}s",
        "--leader-elect=false",
        "--concurrent-deployment-syncs=10",
        "--concurrent-replicaset-syncs=10",
        *_served_by_https(lab),
        *_FAST_CLIENT,
    )
    return _component(lab, "kube-controller-manager", argv, _healthy(lab, 10257))


def _scheduler(lab: Lab) -> Component:
    argv = (
        str(lab.kubernetes / "kube-scheduler"),
        f"--kubeconfig={lab.kubeconfig('kube-scheduler')}",
        "--leader-elect=false",
        *_served_by_https(lab),
        *_FAST_CLIENT,
    )
    return _component(lab, "kube-scheduler", argv, _healthy(lab, 10259))


def _served_by_https(lab: Lab) -> Sequence[str]:
    """How the other two serve their health: on the loopback, with the API server's certificate, which names that."""
    pki = lab.run / "pki"
    files = (f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key")
    return ("--bind-address=127.0.0.1", *files)


def _healthy(lab: Lab, port: int) -> probes.Probe:
    return probes.answers(lab.namespace(), f"https://127.0.0.1:{port}/healthz", ca=lab.run / "pki" / "ca.crt")


def kubectl(lab: Lab, *arguments: str, user: str = "admin") -> list[str]:
    """Words that run kubectl in the lab."""
    # All labs are at one address, by which kubectl names what it remembers of a server.
    own = (f"--kubeconfig={lab.kubeconfig(user)}", f"--cache-dir={lab.run}/kubectl")
    words = [str(lab.kubernetes / "kubectl"), *own, *arguments]
    return [*netns.enter(lab.namespace()), *words]
