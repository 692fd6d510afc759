import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from functional.bfdd.link import NEAR, PAIR, Link, Peer, Speaker


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    link = Link(tmp_path)
    try:
        link.up()
        yield link
    finally:
        if not os.environ.get("KEEP_ENV"):
            link.down()


@pytest.fixture
def speaker(link: Link) -> Speaker:
    return link.speaker(NEAR, PAIR)


@pytest.fixture
def peer(link: Link) -> Iterator[Peer]:
    peer = Peer(link)
    yield peer
    peer.close()


@pytest.fixture
def up(speaker: Speaker, peer: Peer) -> Peer:
    """A session that is up, and the peer of it."""
    peer.bring_up()
    assert speaker.states() == ["Up"]
    return peer
