"""A service manager as small as can be: starts each role in its enclosure, again and again.

`manager.py ROOT ENCLOSURES`, the latter a JSON object by role. Ends its processes on SIGTERM.
The roles come from `python -m limpet.device.attach`, as in the units.
"""

import os
import runpy
import signal
import sys
import time
from pathlib import Path

import msgspec

from limpet.device.enclosure import Enclosure, enter


def start(role: str, root: str, into: Enclosure) -> int:
    child = os.fork()
    if child:
        return child
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    enter(into)
    sys.argv = ["attach", role, root]
    runpy.run_module("limpet.device.attach", run_name="__main__", alter_sys=True)
    os._exit(1)


def main() -> None:
    root = sys.argv[1]
    wanted = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=dict[str, Enclosure])
    waited = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    running = {start(role, root, into): role for role, into in wanted.items()}
    while signal.sigwait(waited) != signal.SIGTERM:
        while (ended := reap()) in running:
            role = running.pop(ended)
            time.sleep(0.25)
            running[start(role, root, wanted[role])] = role
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    for pid in running:
        os.waitpid(pid, 0)


def reap() -> int:
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


main()
