import pytest

from veg_gw_agent.settings import AgentSettings, pod
from veg_runtime.settings import SettingsError, load


def test_defaults() -> None:
    settings = load(AgentSettings, {"VEG_GATEWAY": "default/gateway1", "VEG_GATEWAY_UID": "u1"})
    assert (settings.state_dir, settings.bfd_dir, settings.resync_s) == ("/var/lib/gw-agent", "/run/veg-bfd", 10.0)


def test_the_pod_comes_from_the_downward_api() -> None:
    names = {"POD_NAME": "p", "POD_NAMESPACE": "n", "POD_UID": "u"}
    assert (pod(names).key, pod(names).uid, pod(names).ips) == ("n/p", "u", ())
    assert pod(names | {"POD_IPS": "10.16.0.12,fd00::12"}).ips == ("10.16.0.12", "fd00::12")
    for missing in names:
        with pytest.raises(SettingsError, match=f"{missing} is not set"):
            pod({name: value for name, value in names.items() if name != missing})
