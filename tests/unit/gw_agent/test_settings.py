import pytest

from veg_gw_agent.settings import AgentSettings, pod
from veg_runtime.settings import SettingsError, load


def test_defaults() -> None:
    settings = load(AgentSettings, {"VEG_GATEWAY": "default/gateway1", "VEG_GATEWAY_UID": "u1"})
    assert (settings.state_dir, settings.resync_s) == ("/var/lib/gw-agent", 10.0)


def test_the_pod_comes_from_the_downward_api() -> None:
    assert pod({"POD_NAME": "p", "POD_UID": "u"}).uid == "u"
    with pytest.raises(SettingsError, match="POD_UID is not set"):
        pod({"POD_NAME": "p"})
