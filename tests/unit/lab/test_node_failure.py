"""Which links and which pods belong to a node that fails, by what is on disk."""

from pathlib import Path

import msgspec
import pytest

from veg_lab import netns
from veg_lab.errors import LabError
from veg_lab.node_agent.network_plan import host_interface
from veg_lab.node_agent.record import Sandbox
from veg_lab.node_failure import ends_of, fail, marks, restore, sandboxes_on
from veg_lab.paths import Lab


def write(lab: Lab, name: str, node: str) -> Sandbox:
    sandbox = Sandbox(f"uid-{name}", node, lab.namespace("pod", "default", name), (), "", {})
    directory = lab.run / "pods" / "default" / name
    directory.mkdir(parents=True)
    (directory / "sandbox.json").write_bytes(msgspec.json.encode(sandbox))
    return sandbox


def test_the_pods_of_a_node_are_those_that_its_agent_has_written(lab: Lab) -> None:
    assert sandboxes_on(lab, "n1") == []
    mine, _ = write(lab, "a", "n1"), write(lab, "b", "n2")
    (lab.run / "pods" / "default" / "going").mkdir()
    assert sandboxes_on(lab, "n1") == [mine]


def test_all_links_of_these_pods_and_no_others() -> None:
    mine = [host_interface(uid, link) for uid in ("u1", "u2") for link in ("eth0", "net1")]
    links = [*mine, host_interface("u3", "eth0"), "lo", "br-int", "eth1"]
    assert ends_of(["u1", "u2"], links) == sorted(mine)
    assert ends_of(["gone"], links) == []
    assert ends_of([], links) == []


@pytest.mark.parametrize("node", ["nosuch", "", ".", "../n1"])
def test_a_node_that_does_not_exist_is_not_marked(
    lab: Lab, node: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netns, "DIRECTORY", tmp_path / "netns")
    (tmp_path / "netns").mkdir()
    (tmp_path / "netns" / lab.namespace("node", "n1")).touch()
    with pytest.raises(LabError, match="does not exist; there are n1"):
        fail(lab, node, 5)
    with pytest.raises(LabError, match="does not exist; there are n1"):
        restore(lab, node)
    assert not marks(lab).exists()
