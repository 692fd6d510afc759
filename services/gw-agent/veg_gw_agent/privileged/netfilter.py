"""Netfilter rules, by the iptables tools: `iptables -t nat -S` in the pod shows what the user's document shows."""

import os
import shutil
import subprocess
from typing import Final

from veg_gw_agent.privileged.errors import KernelError

_PREFIXES: Final = {"4": "iptables", "6": "ip6tables"}
_SYSTEM_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin"  # a user that is not root often lacks these
_TIMEOUT_S: Final = 20
_LOCK_WAIT_S: Final = 5  # iptables-legacy takes a lock; the nft variant accepts the option and needs none


def saved(family: str, table: str) -> str:
    """A table as `iptables-save` writes it.

    Raises:
        KernelError: the tool is missing or failed.
    """
    return _run(f"{_PREFIXES[family]}-save", ["-t", table], "")


def restore(family: str, text: str) -> None:
    """Carry out `text` (the format of `iptables-restore`) in one transaction: all of it, or nothing.

    Raises:
        KernelError: the tool is missing, or refused a line.
    """
    _run(f"{_PREFIXES[family]}-restore", ["--noflush", "-w", str(_LOCK_WAIT_S)], text)


def _run(tool: str, arguments: list[str], text: str) -> str:
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
    executable = shutil.which(tool, path=path)
    if executable is None:
        raise KernelError(f"{tool} is not on PATH ({path})")
    try:
        done = subprocess.run(  # the legacy variant's lock file must be one that this user may write
            [executable, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            env={"PATH": path, "XTABLES_LOCKFILE": os.environ.get("XTABLES_LOCKFILE", "/tmp/xtables.lock")},  # noqa: S108
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelError(f"{tool}: {error}") from error
    if done.returncode != 0:
        raise KernelError(f"{tool}: {done.stderr.strip() or f'exit code {done.returncode}'}{_quoted(text)}")
    return done.stdout


def _quoted(text: str) -> str:
    return f"; the input was: {' | '.join(text.splitlines())}" if text else ""
