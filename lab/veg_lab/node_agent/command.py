"""Run short commands without blocking the other pods."""

import asyncio
import os
import signal
from collections.abc import Sequence


class CommandError(Exception):
    """A command failed or took too long; the message has its words and what it said."""


async def run(argv: Sequence[str], *, stdin: str = "", timeout_s: float = 30.0) -> str:
    """Run a command in a process group of its own and return its output."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(stdin.encode()), timeout_s)
    except TimeoutError as error:
        raise CommandError(f"{' '.join(argv[:12])}: not done after {timeout_s} s") from error
    finally:
        # The whole group, and also when this task is cancelled: nsenter's child would live on.
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode != 0:
        raise CommandError(
            f"{' '.join(argv[:12])}: exit code {process.returncode}: {output.decode(errors='replace').strip()[-500:]}"
        )
    return output.decode(errors="replace")
