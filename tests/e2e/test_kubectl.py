"""kubectl's own commands for pods work as they stand: they go to the kubelets, with nothing of ours between."""

import subprocess
import time

from support.clients import inside
from support.lab import Lab, eventually


def test_exec_gives_output_and_exit_code(lab: Lab, client: str) -> None:
    assert lab.kubectl("exec", client, "--", "cat", "/etc/hostname").strip() == client
    argv = lab.command("kubectl", "exec", client, "--", "sh", "-c", "exit 7")
    assert subprocess.run(argv, env=lab.environment, capture_output=True, check=False).returncode == 7


def test_exec_hands_standard_input_over(lab: Lab, client: str) -> None:
    assert lab.kubectl("exec", "-i", client, "--", "tr", "a-z", "A-Z", stdin="shout\n") == "SHOUT\n"


def test_logs_follows(lab: Lab, client: str) -> None:
    with lab.background("kubectl", "logs", "-f", client) as following:
        time.sleep(1)
        for word in ("first", "second"):
            lab.kubectl("exec", client, "--", "sh", "-c", f"echo {word} >/proc/1/fd/1")
        assert following.process.stdout is not None
        assert [following.process.stdout.readline().strip() for _ in range(2)] == ["first", "second"]


def test_port_forward_reaches_a_port_of_the_pod(lab: Lab, client: str) -> None:
    serve = "import http.server; http.server.test(http.server.SimpleHTTPRequestHandler, port=8000, bind='127.0.0.1')"
    with lab.background("kubectl", "exec", client, "--", "python3", "-c", serve):
        try:
            eventually(lambda: fetched(inside(lab, f"default/{client}"), 8000) == client, 20, "the pod serves")
            with lab.background("kubectl", "port-forward", f"pod/{client}", "18000:8000"):
                machine = ["nsenter", f"--net=/run/netns/{lab.name}"]
                eventually(lambda: fetched(machine, 18000) == client, 20, "the forwarded port answers")
        finally:
            lab.kubectl("exec", client, "--", "pkill", "-f", "http.server")


def fetched(enter: list[str], port: int) -> str:
    words = [*enter, "curl", "-s", "--max-time", "2", f"http://127.0.0.1:{port}/etc/hostname"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def test_debug_adds_a_container_to_the_pods_network(lab: Lab, client: str) -> None:
    image = ["--image=localhost/veg/lab-client:dev", "--image-pull-policy=Never", "--container=looks", "--attach=false"]
    address = lab.get("pod", client)["status"]["podIP"]
    lab.kubectl("debug", client, *image, "--", "ip", "-o", "-4", "address", "show", "eth0")
    eventually(lambda: address in lab.kubectl("logs", client, "-c", "looks"), 20, "it sees the pod's address")


def test_a_pod_has_a_token_of_its_own(lab: Lab, client: str) -> None:
    token = lab.kubectl("exec", client, "--", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    assert token.count(".") == 2
