"""The short-lived process in which boot decides: which slot, whether it is confirmed, what to log.

Owns nothing that lasts but what it makes durable. Boot starts it for each question, waits for
its end, and starts nothing that it did not answer with (docs/adr/0105). Its arguments are boot's
own, the id of the process that must be alive, and the request:

    choose              the slot, its deadline in seconds or nothing, the supervisor's command
    confirmed SLOT      "yes" or "no"
    log EVENT DETAIL    an error of boot's

An answer is words on stdout with NUL between them. Exit status as boot's own.
"""

import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NoReturn

from limpet.device.boot._arguments import Arguments, parse_arguments, supervisor_options
from limpet.device.boot._choice import choose_slot, is_confirmed
from limpet.device.boot._policy import decide_deadline
from limpet.device.link.journal import Journal
from limpet.device.link.launch import role_command
from limpet.device.link.roles import Role
from limpet.device.link.start import Start, start_arguments
from limpet.errors import LimpetError, Misuse

__all__ = ["main"]


def main() -> NoReturn:
    """Do what the arguments ask; never returns."""
    parent, count, *words = sys.argv[1:]
    own, request = words[: int(count)], words[int(count) :]
    try:
        if os.getppid() != int(parent):
            raise Misuse("boot is gone")
        answer = _answer(parse_arguments(own), request)
        sys.stdout.buffer.write("\0".join(answer).encode(errors="surrogateescape"))
        sys.stdout.flush()
        status = 0
    except LimpetError as error:
        print(f"limpet: error: {error}", file=sys.stderr, flush=True)
        status = error.exit_code
    os._exit(status)


def _answer(given: Arguments, request: Sequence[str]) -> Sequence[str]:
    root = given.root
    journal = Journal(root, clock=lambda: datetime.now(UTC), monotonic=time.monotonic)
    match request:
        case ["choose"]:
            return _choose(given, journal)
        case ["confirmed", slot]:
            return ["yes" if is_confirmed(root, slot) else "no"]
        case ["log", event, detail]:
            journal.write("boot", event, detail, level="error")
            print(f"boot: {event}: {detail}", file=sys.stderr, flush=True)
            return []
        case _:
            raise Misuse(f"boot asked for {request!r}")


def _choose(given: Arguments, journal: Journal) -> Sequence[str]:
    choice = choose_slot(given.root, journal).choice
    what, deadline = f"slot {choice.slot}, version {choice.record.version}", ""
    if choice.on_trial:
        seconds = decide_deadline(given.trial_deadline, given.root / "slots" / choice.slot)
        what, deadline = f"{what}, on trial", str(seconds)
    start = Start(
        role=Role.SUPERVISOR,
        root=given.root,
        slot=choice.slot,
        parent=os.getppid(),
        factory=given.factory,
        options=supervisor_options(given),
    )
    journal.write("boot", "starting", what)
    command = role_command(start.slot_path, "supervisor", start_arguments(start))
    return [choice.slot, deadline, *command]


if __name__ == "__main__":
    main()
