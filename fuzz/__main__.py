"""`./run fuzz TARGET --seconds N`: one target, by Atheris where it is installed.

Owns the choice of driver and the command's words. Never decides what is a bug:
a target raises, or it does not.
"""

import argparse
import sys
from pathlib import Path

from fuzz.driver import DEFAULT_SECONDS, run_mutations
from fuzz.names import TARGET_NAMES

CORPUS = Path(__file__).with_name("corpus")
MAX_INPUT_BYTES = 64 << 10
INPUT_SECONDS = 5  # one input may take so long; more is a finding


def main() -> int:
    """Run one target; 0 if nothing was found. What breaks it is left in fuzz/findings."""
    parser = argparse.ArgumentParser(prog="run fuzz", description="Fuzz one parser of limpet.")
    parser.add_argument("target", choices=TARGET_NAMES)
    parser.add_argument("--seconds", type=int, default=DEFAULT_SECONDS)
    parser.add_argument("--driver", choices=("auto", "atheris", "mutations"), default="auto")
    parser.add_argument("--input", type=Path, help="run the target on this one file only")
    parser.add_argument("--findings", type=Path, default=Path(__file__).with_name("findings"))
    asked = parser.parse_args()
    if asked.input is not None:
        from fuzz.targets import TARGETS

        TARGETS[asked.target](asked.input.read_bytes())
        return 0
    asked.findings.mkdir(exist_ok=True)
    if asked.driver == "mutations" or (asked.driver == "auto" and not _has_atheris()):
        print(f"{asked.target}: driver mutations (no coverage feedback)", flush=True)
        from fuzz.targets import TARGETS

        return run_mutations(
            TARGETS[asked.target],
            corpus=CORPUS / asked.target,
            findings=asked.findings,
            seconds=asked.seconds,
        )
    print(f"{asked.target}: driver atheris", flush=True)
    return _run_atheris(asked.target, asked.findings, asked.seconds)


def _has_atheris() -> bool:
    try:
        import atheris  # noqa: F401
    except ImportError:  # no wheel for this Python or machine
        return False
    return True


def _run_atheris(name: str, findings: Path, seconds: int) -> int:
    """libFuzzer ends the process by itself: 0 after the time, another status at a finding."""
    import atheris

    with atheris.instrument_imports(include=["limpet", "h11", "tomllib", "tuf"]):
        from fuzz.targets import TARGETS
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
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
