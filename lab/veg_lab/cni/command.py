"""Run short commands without blocking the other pods."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence


class CommandError(Exception):
    """A command failed or took too long; the message has its words and what it said, `output` what it answered."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


async def run(
    argv: Sequence[str], *, stdin: str = "", timeout_s: float = 30.0, environment: Mapping[str, str] | None = None
) -> str:
    """Run a command in a process group of its own and return its output.

    Raises:
        CommandError: it failed, or was not done in time.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    words = " ".join(argv[:12])
    try:
        output, complaints = await asyncio.wait_for(process.communicate(stdin.encode()), timeout_s)
    except TimeoutError as error:
        raise CommandError(f"{words}: not done after {timeout_s} s") from error
    finally:
        # The whole group, and also when this task is cancelled: nsenter's child would live on.
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode != 0:
        said = (complaints + output).decode(errors="replace").strip()[-500:]
        raise CommandError(f"{words}: exit code {process.returncode}: {said}", output.decode(errors="replace"))
    return output.decode(errors="replace")
