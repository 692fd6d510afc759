from veg_runtime.service import Health
from veg_watcher.kinds import Kind
from veg_watcher.progress import Progress

POD = Kind("Pod", "", "v1", "pods")
POOL = Kind("IPPool", "kubeovn.io", "v1", "ippools", optional=True)


def test_ready_once_each_installed_kind_was_listed() -> None:
    health = Health()
    progress = Progress(health, (POD, POOL))
    assert (health.ready, health.detail) == (False, "waits for the first list of IPPool, Pod")
    progress.absent(POOL)
    assert (health.ready, health.detail) == (False, "waits for the first list of Pod; not installed: IPPool")
    progress.listed(POD)
    assert (health.ready, health.detail) == (True, "watching; not installed: IPPool")
    progress.listed(POOL)
    assert (health.ready, health.detail) == (True, "watching")
