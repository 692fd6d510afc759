"""Where the daemon finds what a node's programs name."""

from pathlib import Path

import pytest

from veg_lab.cni.node import namespace_inode, netns_of, root
from veg_lab.cni.protocol import CniError
from veg_lab.nodes.inventory import Node, find, keep, nodes
from veg_lab.paths import Lab
from veg_lab.process import record_self


@pytest.fixture
def node(lab: Lab) -> Node:
    found = Node(lab, "n1", "172.18.0.5")
    keep(found)
    record_self(found.init)
    return found


def test_nodes_are_those_that_the_lab_has_kept(node: Node) -> None:
    (node.lab.run / "nodes" / "n0").mkdir()
    assert nodes(node.lab) == [node] == [find(node.lab, "n1")]
    assert nodes(Lab("other", node.lab.cache, node.lab.root)) == []


@pytest.mark.parametrize("path", ["/var/run/netns/cni-1", "/run/netns/cni-1"])
def test_a_namespace_is_looked_up_below_the_nodes_root(node: Node, path: str) -> None:
    # /var/run is an absolute link: by way of it one would find the file of the machine.
    assert netns_of(node, path) == root(node) / "run/netns/cni-1"


def test_a_node_that_is_down_is_named(lab: Lab) -> None:
    with pytest.raises(CniError, match="node n1 is down"):
        root(Node(lab, "n1", "172.18.0.5"))


def test_a_file_that_is_no_mount_is_no_namespace(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert namespace_inode(tmp_path / "empty") is None
    assert namespace_inode(tmp_path / "missing") is None
