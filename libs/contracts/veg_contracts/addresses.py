"""Addresses as Kube-OVN writes them: one per family in one string, joined by a comma."""

from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Final

FAMILIES: Final = ("4", "6")
# A gateway with thousands of sources names each of them several times in one plan, and others look at them in theirs.
_CACHED_MAX: Final = 65536


def split(text: str) -> tuple[str, ...]:
    """The members of "v4", "v6" or "v4,v6", without spaces and empty ones."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


@lru_cache(maxsize=_CACHED_MAX)
def parse(text: str) -> IPv4Interface | IPv6Interface:
    """An address or CIDR.

    Raises:
        ValueError: it is neither.
    """
    if "%" in text:
        raise ValueError(f"{text!r} carries a zone; a zone has no meaning outside one host")
    return ip_interface(text)


def family(text: str) -> str:
    """Which one: "4" or "6".

    Raises:
        ValueError: `text` is neither an address nor a CIDR.
    """
    return str(parse(text).version)


@lru_cache(maxsize=_CACHED_MAX)
def families(text: str) -> tuple[str, ...]:
    """The family of each member of "v4", "v6" or "v4,v6".

    Raises:
        ValueError: there is no member, one of them is neither an address nor a CIDR, or a family comes twice.
    """
    found = tuple(family(part) for part in split(text))
    if not found or len(set(found)) != len(found):
        raise ValueError(f'{text!r} is not "v4", "v6" or "v4,v6"')
    return found


def are_valid(text: str) -> bool:
    """Whether it is "v4", "v6" or "v4,v6"."""
    try:
        families(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=_CACHED_MAX)
def of_family(text: str, wanted: str) -> str:
    """The member of "v4,v6" that is of the family `wanted`, or the empty string. Garbage is of no family."""
    for part in split(text):
        try:
            if family(part) == wanted:
                return part
        except ValueError:
            continue
    return ""


@lru_cache(maxsize=_CACHED_MAX)
def masked(text: str) -> str:
    """The CIDR without host bits; a bare address becomes a /32 or /128.

    Raises:
        ValueError: `text` is neither an address nor a CIDR.
    """
    return str(parse(text).network)


def contains(outer: str, inner: str) -> bool:
    """Whether the CIDR `outer` contains all of the address or CIDR `inner`. One of another family it never does.

    Raises:
        ValueError: one of them is neither an address nor a CIDR.
    """
    one, other = parse(outer).network, parse(inner).network
    return one.version == other.version and one.supernet_of(other)  # type: ignore[arg-type]  # they are of one family
