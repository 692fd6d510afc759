"""The agent's files: the held config, so that a restart needs no bus, and what was applied and reported."""

import os
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from veg_contracts.base import encode
from veg_gw_agent import config as configs
from veg_gw_agent import readiness
from veg_gw_agent.settings import PROGRESS_FILE, READINESS_FILE
from veg_gw_agent.state import Held, Progress
from veg_runtime import logs

CONFIG_FILE: Final = "config.json"

ValueT = TypeVar("ValueT")

log = logs.get("disk")


def load_held(directory: Path) -> Held | None:
    """The config of before the restart; None when there is none that can be used, which is logged."""
    held = _load(directory / CONFIG_FILE, Held)
    if held is None:
        return None
    try:
        configs.check(held.config)
    except configs.MalformedConfigError as error:
        log.warning("the copy on disk is not used", path=str(directory / CONFIG_FILE), error=str(error))
        return None
    return held


def load_progress(directory: Path) -> Progress:
    return (_load(directory / PROGRESS_FILE, Progress) or Progress()).restarted()


def save(directory: Path, value: Held | Progress) -> None:
    """Replace the file by `value` at once: a crash leaves the old or the new one, whole. The probe sees progress, too.

    Raises:
        OSError: it cannot be written.
    """
    path = directory / (CONFIG_FILE if isinstance(value, Held) else PROGRESS_FILE)
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(encode(value))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)  # the rename too must survive
    finally:
        os.close(descriptor)
    if isinstance(value, Progress):
        _show(directory / READINESS_FILE, readiness.line(value))


def _show(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def _load(path: Path, struct: type[ValueT]) -> ValueT | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=struct)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("the copy on disk is not used", path=str(path), error=str(error))
        return None
