"""`./run fuzz TARGET... --seconds N`: each target in turn, by Atheris where it is installed.

Owns the choice of driver, the process of each target, and the command's words. Never decides
what is a bug: a target raises, or it does not.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from fuzz.driver import DEFAULT_SECONDS, run_mutations
from fuzz.names import TARGET_NAMES

CORPUS = Path(__file__).with_name("corpus")
MAX_INPUT_BYTES = 64 << 10
INPUT_SECONDS = 5  # one input may take so long; more is a finding


def main() -> int:
    """Run the targets; 0 if nothing was found. What breaks one is left in fuzz/findings."""
    parser = argparse.ArgumentParser(prog="run fuzz", description="Fuzz parsers of limpet.")
    parser.add_argument("targets", nargs="+", choices=TARGET_NAMES, metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=DEFAULT_SECONDS, help="for each target")
    parser.add_argument("--driver", choices=("auto", "atheris", "mutations"), default="auto")
    parser.add_argument("--input", type=Path, help="run the targets on this one file only")
    parser.add_argument("--findings", type=Path, default=Path(__file__).with_name("findings"))
    asked = parser.parse_args()
    if asked.input is not None:
        from fuzz.targets import TARGETS

        for name in asked.targets:
            TARGETS[name](asked.input.read_bytes())
        return 0
    asked.findings.mkdir(exist_ok=True)
    if asked.driver == "mutations" or (asked.driver == "auto" and not _has_atheris()):
        run = _by_mutations(asked.findings, asked.seconds)
    else:
        run = _by_atheris(asked.findings, asked.seconds)
    if len(asked.targets) == 1:
        return run(*asked.targets)
    found = [name for name in asked.targets if _forked(run, name) != 0]
    print(f"found something in: {' '.join(found)}" if found else "nothing found", flush=True)
    return 1 if found else 0


def _forked(run: Callable[[str], int], name: str) -> int:
    """`run` in a process of its own, which a driver may end; the status of its end.

    The process ends as any does: libFuzzer keeps what it found at the exit.
    """
    pid = os.fork()
    if not pid:
        sys.exit(run(name))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(f"{name}: ended with status {status}", flush=True)
    return status


def _has_atheris() -> bool:
    try:
        import atheris  # noqa: F401
    except ImportError:  # no wheel for this Python or machine
        return False
    return True


def _by_mutations(findings: Path, seconds: int) -> Callable[[str], int]:
    from fuzz.targets import TARGETS

    def run(name: str) -> int:
        print(f"{name}: driver mutations (no coverage feedback)", flush=True)
        return run_mutations(
            TARGETS[name], corpus=CORPUS / name, findings=findings, seconds=seconds
        )

    return run


def _by_atheris(findings: Path, seconds: int) -> Callable[[str], int]:
    """To instrument the code takes longer than a short run: it is done once, for all targets.

    libFuzzer ends the process by itself: 0 after the time, another status at a finding.
    """
    import atheris

    with atheris.instrument_imports(include=["limpet", "h11", "tomllib", "tuf"]):
        from fuzz.targets import TARGETS

    def run(name: str) -> int:
        print(f"{name}: driver atheris", flush=True)
        options = (
            f"-max_total_time={seconds}",
            f"-max_len={MAX_INPUT_BYTES}",
            f"-timeout={INPUT_SECONDS}",
            "-rss_limit_mb=1024",
            "-print_final_stats=1",
            f"-artifact_prefix={findings}/{name}-",
        )
        # An empty first directory takes what is new, so that the seeds stay as they are.
        grown = findings / f"corpus-{name}"
        grown.mkdir(exist_ok=True)
        atheris.Setup([sys.argv[0], *options, str(grown), str(CORPUS / name)], TARGETS[name])
        try:
            atheris.Fuzz()
        finally:  # at a finding: the clock of one input must not end the process before it is kept
            signal.setitimer(signal.ITIMER_REAL, 0)
        return 0

    return run


if __name__ == "__main__":
    sys.exit(main())
