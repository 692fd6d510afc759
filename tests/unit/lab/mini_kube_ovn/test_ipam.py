from ipaddress import ip_address

import pytest

from veg_lab.mini_kube_ovn.ipam import AcquireError, Ipam, Lease, Owner, Wanted
from veg_lab.mini_kube_ovn.model import Subnet, parse_range, parse_subnet

SMALL = parse_subnet({"metadata": {"name": "small"}, "spec": {"cidrBlock": "10.0.0.0/29", "excludeIps": ["10.0.0.2"]}})
DUAL = parse_subnet({"metadata": {"name": "dual"}, "spec": {"cidrBlock": "10.1.0.0/24,fd00::/112"}})


def take(ipam: Ipam, uid: str, subnet: Subnet = SMALL, **wanted: object) -> list[str]:
    lease = ipam.acquire(Owner(uid, "ovn"), subnet, Wanted(**wanted), ())  # type: ignore[arg-type]
    return [str(address) for address in lease.addresses]


def test_gateway_and_excluded_addresses_are_never_given_out() -> None:
    ipam = Ipam()
    assert [take(ipam, str(i)) for i in range(4)] == [["10.0.0.3"], ["10.0.0.4"], ["10.0.0.5"], ["10.0.0.6"]]


def test_an_owner_keeps_its_lease() -> None:
    ipam = Ipam()
    assert take(ipam, "a") == take(ipam, "a")
    assert ipam.used("small", 4) == 1


def test_exhaustion_is_said_and_heals_when_an_owner_goes() -> None:
    ipam = Ipam()
    for i in range(4):
        take(ipam, str(i))
    with pytest.raises(AcquireError, match="no available address in subnet small"):
        take(ipam, "late")
    ipam.retain({Owner(str(i), "ovn") for i in (0, 2, 3)})
    assert take(ipam, "late") == ["10.0.0.4"]


def test_a_freed_address_is_given_again_as_late_as_possible() -> None:
    ipam = Ipam()
    take(ipam, "a")
    ipam.retain(())
    assert [take(ipam, str(i)) for i in range(4)] == [["10.0.0.4"], ["10.0.0.5"], ["10.0.0.6"], ["10.0.0.3"]]


def test_after_a_restart_the_written_leases_count() -> None:
    ipam = Ipam()
    ipam.adopt(Owner("a", "ovn"), Lease("small", (ip_address("10.0.0.4"),), "02:00:00:00:00:01"))
    assert take(ipam, "a") == ["10.0.0.4"]
    assert take(ipam, "b") == ["10.0.0.5"]
    with pytest.raises(AcquireError, match="in use"):
        ipam.adopt(Owner("c", "ovn"), Lease("small", (ip_address("10.0.0.5"),), ""))


def test_an_asked_for_address_may_be_excluded_but_not_the_gateway() -> None:
    ipam = Ipam()
    assert take(ipam, "a", choices=((ip_address("10.0.0.2"),),)) == ["10.0.0.2"]
    with pytest.raises(AcquireError, match=r"10\.0\.0\.1 cannot be used"):
        take(ipam, "b", choices=((ip_address("10.0.0.1"),),))


def test_of_several_choices_the_first_free_one_is_taken() -> None:
    ipam = Ipam()
    choices = tuple((ip_address(f"10.0.0.{i}"),) for i in (5, 6))
    assert take(ipam, "a", choices=choices) == ["10.0.0.5"]
    assert take(ipam, "b", choices=choices) == ["10.0.0.6"]
    with pytest.raises(AcquireError, match=r"10\.0\.0\.5 of subnet small is in use; .*10\.0\.0\.6"):
        take(ipam, "c", choices=choices)


def test_a_dual_stack_subnet_gives_one_address_of_each_family() -> None:
    assert take(Ipam(), "a", DUAL) == ["10.1.0.2", "fd00::2"]


def test_a_pool_is_kept_for_those_who_name_it() -> None:
    ipam = Ipam()
    pool = (parse_range("10.0.0.3..10.0.0.4"),)
    assert ipam.acquire(Owner("a", "ovn"), SMALL, Wanted(), pool).addresses == (ip_address("10.0.0.5"),)
    assert take(ipam, "b", ranges=pool) == ["10.0.0.3"]
    assert take(ipam, "c", ranges=pool) == ["10.0.0.4"]
    with pytest.raises(AcquireError):
        take(ipam, "d", ranges=pool)


def test_macs_are_stable_unicast_and_local() -> None:
    mac = Owner("a", "ovn").mac
    assert mac == Owner("a", "ovn").mac != Owner("a", "eth1.default").mac
    assert int(mac[:2], 16) & 3 == 2
