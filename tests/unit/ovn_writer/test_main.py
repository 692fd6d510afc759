"""What the service may be told."""

import pytest

from veg_ovn_writer.main import OvnWriterSettings
from veg_runtime.settings import SettingsError, load


def test_the_southbound_database_is_optional() -> None:
    settings = load(OvnWriterSettings, {"VEG_NB_REMOTE": "unix:/nb.sock"})
    assert (settings.sb_remote, settings.chassis_silent_after_s) == ("", 5.0)
    settings = load(
        OvnWriterSettings,
        {"VEG_NB_REMOTE": "unix:/nb.sock", "VEG_SB_REMOTE": "tcp:a:1,tcp:b:1", "VEG_CHASSIS_SILENT_AFTER_S": "12.5"},
    )
    assert (settings.sb_remote, settings.chassis_silent_after_s) == ("tcp:a:1,tcp:b:1", 12.5)


def test_chassis_are_asked_every_ten_seconds_or_never() -> None:
    assert load(OvnWriterSettings, {"VEG_NB_REMOTE": "unix:/nb.sock"}).chassis_probe_s == 10.0
    for value in ("0", "300"):
        told = {"VEG_NB_REMOTE": "unix:/nb.sock", "VEG_CHASSIS_PROBE_S": value}
        assert load(OvnWriterSettings, told).chassis_probe_s == float(value)
    for value in ("-1", "301", "nan", "often"):
        with pytest.raises(SettingsError, match="VEG_CHASSIS_PROBE_S"):
            load(OvnWriterSettings, {"VEG_NB_REMOTE": "unix:/nb.sock", "VEG_CHASSIS_PROBE_S": value})


@pytest.mark.parametrize("value", ["0", "0.9", "61", "nan", "soon"])
def test_a_bound_out_of_its_range_is_refused_by_name(value: str) -> None:
    with pytest.raises(SettingsError, match="VEG_CHASSIS_SILENT_AFTER_S"):
        load(OvnWriterSettings, {"VEG_NB_REMOTE": "unix:/nb.sock", "VEG_CHASSIS_SILENT_AFTER_S": value})


TLS = {"VEG_OVN_TLS_CA": "a", "VEG_OVN_TLS_CERT": "b", "VEG_OVN_TLS_KEY": "c"}


@pytest.mark.parametrize("missing", TLS)
@pytest.mark.parametrize(
    "remotes",
    [
        {"VEG_NB_REMOTE": "ssl:10.0.0.1:6641"},
        {"VEG_SB_REMOTE": "tcp:10.0.0.1:6642,ssl:10.0.0.2:6642", "VEG_NB_REMOTE": "unix:/nb.sock"},
    ],
)
def test_ssl_needs_whom_to_trust_and_who_we_are(remotes: dict[str, str], missing: str) -> None:
    assert load(OvnWriterSettings, remotes | TLS)
    told = remotes | {name: value for name, value in TLS.items() if name != missing}
    with pytest.raises(SettingsError, match=r"VEG_.B_REMOTE: '.*ssl:.*': ssl: needs all of VEG_OVN_TLS_CA, VEG_OVN_"):
        load(OvnWriterSettings, told)


def test_tls_where_nothing_asks_for_it_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"VEG_OVN_TLS_CA, .*: of no use without ssl: in VEG_NB_REMOTE 'tcp:x:1'"):
        load(OvnWriterSettings, {"VEG_NB_REMOTE": "tcp:x:1"} | TLS)
