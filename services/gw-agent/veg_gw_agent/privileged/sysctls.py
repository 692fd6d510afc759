"""Sysctls of the pod's network namespace, as files below /proc/sys."""

from pathlib import Path
from typing import Final

from veg_gw_agent.privileged.errors import KernelError

_ROOT: Final = Path("/proc/sys")


def value(key: str) -> str:
    """The value of `key`, e.g. "net/ipv4/ip_forward"; empty when the kernel has no such sysctl."""
    try:
        return (_ROOT / key).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise KernelError(f"sysctl {key}: {error.strerror}") from error


def ensure(key: str, wanted: str) -> bool:
    """Let `key` have the value `wanted`; says whether it was changed.

    Raises:
        KernelError: it does not exist, or may not be written.
    """
    if value(key) == wanted:
        return False
    try:
        (_ROOT / key).write_text(wanted, encoding="ascii")
    except OSError as error:
        raise KernelError(f"sysctl {key}: cannot be set to {wanted}: {error.strerror}") from error
    return True
