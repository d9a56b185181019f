"""`./run bench advisories`: 300,000 advisories imported, and an SBOM of 2,000 components looked up.

Owns the measuring of the import (`limpet release advisories`, as it is typed) and of the look-up
with its decision. Each runs in a process of its own: wall and CPU time and the largest resident
set are what the kernel says of it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import pip_audit
from bench.advisory_dump import Size, make_components, write_dump
from bench.measure import Figure, table

__all__ = ["main"]

SIZE = Size(pypi=100_000, debian=200_000)
COMPONENTS = 2000
CHANGED = 500  # of each ecosystem, from one day to the next
MOST_SECONDS, MOST_MB = 30.0, 500.0
# Each writes its own peak last: what wait4(2) says of memory counts the parent's before the exec.
_PEAK = """
import sys
from pathlib import Path
def end(status):
    found = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    Path(peak).write_text(found[0].split()[1])
    sys.exit(status)
peak = sys.argv.pop(1)
"""
_IMPORT = """
from limpet.cli.main import run
end(run(sys.argv[1:]))
"""
_LOOK_UP = """
from bench.advisory_dump import END, Size, make_components
from limpet.release.advisories import Triage, judge_vulnerabilities, look_up
store, pypi, debian, count = sys.argv[1:]
size = Size(pypi=int(pypi), debian=int(debian))
found = look_up(Path(store), make_components(size, int(count)))
judged = judge_vulnerabilities(found, (), Triage(), END)
print(len(found.hits), len(found.unmatched), len(judged))
end(1 if found.trouble else 0)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the kernel says of one process."""

    seconds: float
    cpu: float
    megabytes: float
    said: str


def main(words: Sequence[str] = ()) -> int:
    """Print the figures; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="./run bench advisories", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--dump", type=Path, help="keep the invented dumps here, and take them")
    parser.add_argument("--scale", type=float, default=1.0, help="of the 300,000 (1)")
    parser.add_argument("--with", dest="beside", choices=["pip-audit"], help="measure that too")
    options = parser.parse_args(list(words))
    size = Size(pypi=round(SIZE.pypi * options.scale), debian=round(SIZE.debian * options.scale))
    with tempfile.TemporaryDirectory(prefix="limpet-bench-advisories-") as name:
        place = Path(name)
        figures = _measure(place, options.dump or place / "dump", size)
        if options.beside:
            figures += pip_audit.compare(place, make_components(size, COMPONENTS), figures[-2])
    print(
        json.dumps([one.as_json() for one in figures], indent=2) if options.json else table(figures)
    )
    return int(any(one.met is False for one in figures))


def _measure(place: Path, dumps: Path, size: Size) -> list[Figure]:
    for name, changed in (("first", 0), ("next", CHANGED)):
        if not (dumps / name / "Debian" / "all.zip").is_file():
            _say(f"inventing {size.pypi + size.debian:,} advisories ({name})")
            write_dump(dumps / name, size, changed=changed)
    store = place / "advisories.sqlite"
    figures = []
    for name, what in (("first", "first import"), ("next", "import again")):
        _say(what)
        run = _run(_IMPORT, _import(store, dumps / name))
        done = json.loads(run.said)["imported"]
        assert done["refused_count"] == 0, done
        named = f"{what}, {done['changed']:,} changed" if done["unchanged"] else what
        figures += _figures(named, run, store)
    _say("look-up")
    sizes = [str(size.pypi), str(size.debian), str(COMPONENTS)]
    run = _run(_LOOK_UP, [str(store), *sizes])
    hits, unmatched, _ = run.said.split()
    what = f"look-up of {COMPONENTS:,} components ({hits} hits, {unmatched} inconclusive)"
    return [*figures, *_figures(what, run, store, targets=True)]


def _import(store: Path, dump: Path) -> list[str]:
    return ["release", "advisories", "--advisories", str(store), "--import", str(dump), "--json"]


def _figures(what: str, run: Run, store: Path, *, targets: bool = False) -> list[Figure]:
    memory, clock = f"{what}: memory", f"{what}: wall time"
    size = store.stat().st_size / 1e6
    return [
        Figure(
            what=memory,
            value=run.megabytes,
            unit="MB",
            yardstick="the database, MB",
            yardstick_value=size,
            target=f"{MOST_MB:.0f} MB",
            met=run.megabytes < MOST_MB,
        ),
        Figure(what=f"{what}: CPU time", value=run.cpu, unit="CPU s"),
        Figure(
            what=clock,
            value=run.seconds,
            unit="s",
            target=f"{MOST_SECONDS:.0f} s" if targets else "",
            met=run.seconds < MOST_SECONDS if targets else None,
        ),
    ]


def _run(code: str, words: Sequence[str]) -> Run:
    """Run to the end in a process of its own."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    with tempfile.TemporaryDirectory(prefix="limpet-bench-run-") as name:
        peak, out = Path(name) / "peak", Path(name) / "out"
        command = [sys.executable, "-c", _PEAK + code, str(peak), *words]
        begun = time.monotonic()
        with out.open("w") as file:
            process = subprocess.Popen(command, stdout=file, env=os.environ | {"PYTHONPATH": path})
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        said = out.read_text()
        if process.returncode != 0:
            raise RuntimeError(f"{words} ended with {process.returncode}: {said[:500]}")
        return Run(
            seconds=seconds,
            cpu=usage.ru_utime + usage.ru_stime,
            megabytes=int(peak.read_text()) * 1024 / 1e6,
            said=said,
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
