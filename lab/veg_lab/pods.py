"""What kubectl asks a kubelet for, and the lab's node agent does not serve: exec and logs."""

import argparse
import os
from pathlib import Path
from typing import NoReturn

import msgspec

from veg_lab import control_plane, netns, process
from veg_lab.errors import LabError
from veg_lab.node_agent.record import ContainerRecord
from veg_lab.node_agent.spec import exec_words
from veg_lab.paths import Lab
from veg_lab.programs import become, replace_process


def execute(lab: Lab, words: list[str]) -> NoReturn:
    """`kubectl exec`: a command in a container, with the container's rights, environment and directory."""
    parser = argparse.ArgumentParser(prog="lab/lab exec", description=execute.__doc__)
    parser.add_argument("pod")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("-c", "--container")
    for ignored in ("-i", "--stdin", "-t", "--tty"):
        parser.add_argument(ignored, action="store_true", help="accepted and not needed")
    for joined in ("-it", "-ti"):
        parser.add_argument(joined, action="store_true", help=argparse.SUPPRESS)
    dashes = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:dashes])
    command = words[dashes + 1 :]
    if not command:
        parser.error("no command: lab/lab exec POD [-n NAMESPACE] [-c CONTAINER] -- COMMAND")
    record = _container(lab, options.namespace, options.pod.removeprefix("pod/"), options.container)
    stat = process.read_stat(Path(f"/proc/{record.pid}/stat"))
    if stat is None or stat.start_ticks != record.start_time:
        raise LabError(f"container {record.plan.name} of pod {options.namespace}/{options.pod} does not run")
    replace_process(exec_words(record.plan, record.pid, command), os.environ)


def logs(lab: Lab, words: list[str]) -> NoReturn:
    """`kubectl logs`: what a container wrote."""
    parser = argparse.ArgumentParser(prog="lab/lab kubectl logs")
    parser.add_argument("pod")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("-c", "--container")
    parser.add_argument("-f", "--follow", action="store_true")
    options = parser.parse_args(words)
    pod = options.pod.removeprefix("pod/")
    container = options.container or _first_container(lab, options.namespace, pod)
    log = lab.run / "pods" / options.namespace / pod / "log" / f"{container}.log"
    become(lab, ["tail", "-n", "+1", *(["-F"] if options.follow else []), str(log)], inside=False)


def _container(lab: Lab, namespace: str, pod: str, container: str | None) -> ContainerRecord:
    """What the node agent wrote about the container; the pod's first one if none is named."""
    name = container or _first_container(lab, namespace, pod)
    directory = lab.run / "pods" / namespace / pod / "containers"
    try:
        return msgspec.json.decode((directory / f"{name}.json").read_bytes(), type=ContainerRecord)
    except FileNotFoundError as error:
        have = ", ".join(sorted(found.stem for found in directory.glob("*.json"))) or "none"
        raise LabError(f"pod {namespace}/{pod} has no container {name!r} here; it has {have}") from error


def _first_container(lab: Lab, namespace: str, pod: str) -> str:
    path = "jsonpath={.spec.containers[0].name}"
    return netns.run(control_plane.kubectl(lab, "get", "pod", pod, "--namespace", namespace, "-o", path))
