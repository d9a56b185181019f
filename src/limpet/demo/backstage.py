"""`python -m limpet.demo.backstage COMMANDS`: limpet's commands, one after the other.

Owns what is done behind the scenes while another is played: the same code as `./run COMMAND`, in
one process, at a lower priority. Ends with the status of the first command that fails.
"""

import os
import signal
import sys

import msgspec

from limpet.cli.main import run

__all__ = ["main"]

NICENESS = 5
"""Of nice(1): what is on the stage goes first."""


def main() -> None:
    """Run the commands of the first argument, a list of lists in JSON."""
    signal.signal(signal.SIGTERM, _interrupt)
    os.nice(NICENESS)
    for words in msgspec.json.decode(sys.argv[1], type=list[list[str]]):
        status = run(words)
        if status:
            sys.exit(status)


def _interrupt(*_: object) -> None:
    """End as on Ctrl-C: no process that a command started stays, and no file."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
