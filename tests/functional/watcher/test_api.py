import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from functional.control_plane import ControlPlane
from functional.watcher.conftest import BY_NAME

from veg_runtime import kube
from veg_runtime.settings import SettingsError
from veg_watcher import lister, watch
from veg_watcher.api import Api, NotFoundError
from veg_watcher.kinds import Kind
from veg_watcher.lister import Page

NAMESPACE = BY_NAME["Namespace"]
T = TypeVar("T")


@pytest.fixture
def ask(cluster: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Api], Awaitable[T]]], T]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig("watcher")))

    def run(question: Callable[[Api], Awaitable[T]]) -> T:
        async def asked() -> T:
            async with kube.connected() as connection:
                return await question(Api(connection))

        return asyncio.run(asked())

    return run


def test_a_list_comes_in_pages_of_one_revision(
    cluster: ControlPlane, ask: Callable[[Callable[[Api], Awaitable[list[Page]]]], list[Page]]
) -> None:
    async def pages(connection: Api) -> list[Page]:
        return [page async for page in lister.pages(connection, NAMESPACE, objects_max=2)]

    names = {item["metadata"]["name"] for item in cluster.request("GET", "/api/v1/namespaces")["items"]}
    found = ask(pages)
    assert len(found) == -(-len(names) // 2)
    assert {raw["metadata"]["name"] for page in found for raw in page.objects} == names
    assert len({page.resource_version for page in found}) == 1


def test_a_kind_that_is_not_installed_is_not_found(
    cluster: ControlPlane, ask: Callable[[Callable[[Api], Awaitable[None]]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As admin: whoever was not granted the kind is not told either whether it is there.
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig("admin")))

    async def absent(connection: Api) -> None:
        async for _ in lister.pages(connection, Kind("Nothing", "example.com", "v1", "nothings")):
            pass

    with pytest.raises(NotFoundError, match="nothings"):
        ask(absent)


def test_an_object_longer_than_any_buffer_comes_in_one_piece(
    cluster: ControlPlane, ask: Callable[[Callable[[Api], Awaitable[str]]], str]
) -> None:
    kind = BY_NAME["IPPool"]
    start = cluster.request("GET", kind.path)["metadata"]["resourceVersion"]
    body = {
        "apiVersion": "kubeovn.io/v1",
        "kind": kind.name,
        "metadata": {"name": "long"},
        "spec": {"x": "y" * 1_200_000},
    }
    cluster.create(kind.path, body)

    async def first(connection: Api) -> str:
        async for change in watch.changes(connection, kind, start, 5.0):
            return str(change.object["spec"]["x"])
        return ""

    assert len(ask(first)) == 1_200_000


def test_no_way_to_an_api_server_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/kubeconfig")

    async def connect() -> None:
        async with kube.connected():
            pass

    with pytest.raises(SettingsError, match="KUBECONFIG"):
        asyncio.run(connect())
