"""The process of the supervisor: arguments in, exit status out.

Exit status 0: stopped as asked; `REBOOT`: boot shall choose a slot again; 1: the
slot is unwell and boot decides.
"""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from typing import NoReturn

from limpet.device.confine import return_memory
from limpet.device.link.journal import Journal
from limpet.device.link.launch import crash_line
from limpet.device.link.permits import Role
from limpet.device.link.start import Start, parse_start
from limpet.device.supervisor._supervision import Supervision
from limpet.errors import LimpetError, Misuse

__all__ = ["main"]


def main() -> NoReturn:
    """Run the supervisor by the arguments of this process; never returns."""
    status = 1
    journal: Journal | None = None
    try:
        start = parse_start(sys.argv[1:])
        if start.role is not Role.SUPERVISOR:
            raise Misuse(f"the supervisor was started as {start.role.value}")
        if start.parent and os.getppid() != start.parent:
            raise Misuse("boot is gone")
        journal = Journal(start.root, clock=_now, monotonic=time.monotonic)
        return_memory()
        status = asyncio.run(_supervise(start, journal))
    except LimpetError as error:
        _report(journal, str(error), crash_line(error))
    except Exception as error:
        _report(journal, f"{type(error).__name__}: {error}", crash_line(error))
    sys.stderr.flush()
    os._exit(status)


async def _supervise(start: Start, journal: Journal) -> int:
    supervision = Supervision(start, journal, clock=_now)
    return await supervision.run()


def _report(journal: Journal | None, text: str, line: str) -> None:
    if journal is not None:
        journal.write("supervisor", "supervisor-failed", text, level="error")
    print(line, file=sys.stderr, flush=True)


def _now() -> datetime:
    return datetime.now(UTC)
