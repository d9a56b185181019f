"""`./run bench deltas`: an update of a real root file system, ours beside other tools', in one run.

Owns the tools' command lines and what is measured of them: bytes to send, seconds to make, seconds
and memory to apply, each in a process of its own. Every result is compared with the new image. A
tool that is not installed is left out, and said.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.images import Pair, load_pair

__all__ = ["main"]

SMALL = 100 << 10  # KiB: the memory of tools that the target is about
_OURS = (sys.executable, "-m", "bench.apply")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """Shell words with `{old}`, `{new}`, `{delta}`, `{out}`, `{work}`; `sent` counts bytes."""

    name: str
    needs: str
    make: tuple[tuple[str, ...], ...]
    apply: tuple[str, ...]  # none: what cannot be applied without a server
    sent: Callable[[Mapping[str, str]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the result."""

    tool: str
    sent: int
    make_seconds: float
    make_kib: int
    apply_seconds: float | None
    apply_kib: int | None


def _file(names: Mapping[str, str]) -> int:
    return Path(names["delta"]).stat().st_size


def _chunks(names: Mapping[str, str]) -> int:
    """What casync fetches: the index, and the chunks that the old image does not have."""
    old, new = ({p.name: p for p in Path(names["work"], s).rglob("*.cacnk")} for s in ("o", "n"))
    return _file(names) + sum(new[name].stat().st_size for name in new.keys() - old.keys())


def _zck(names: Mapping[str, str]) -> int:
    """What zchunk fetches: the header, and the chunks that the old file does not have."""
    command = ["zck_delta_size", f"{names['work']}/old.zck", names["delta"]]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(next(line for line in said.splitlines() if "Would download" in line).split()[2])


TOOLS = (
    Tool(
        name="limpet, delta",
        needs=sys.executable,
        make=((*_OURS, "make", "{old}", "{new}", "{delta}"),),
        apply=(*_OURS, "apply", "{old}", "{new}", "{delta}", "{out}"),
        sent=_file,
    ),
    Tool(
        name="limpet, whole",
        needs=sys.executable,
        make=((*_OURS, "pack", "{new}", "{delta}"),),
        apply=(*_OURS, "unpack", "{new}", "{delta}", "{out}"),
        sent=_file,
    ),
    Tool(
        name="bsdiff",
        needs="bsdiff",
        make=(("bsdiff", "{old}", "{new}", "{delta}"),),
        apply=("bspatch", "{old}", "{out}", "{delta}"),
        sent=_file,
    ),
    Tool(
        name="xdelta3 -9",
        needs="xdelta3",
        make=(("xdelta3", "-e", "-9", "-f", "-B", "536870912", "-s", "{old}", "{new}", "{delta}"),),
        apply=("xdelta3", "-d", "-f", "-s", "{old}", "{delta}", "{out}"),
        sent=_file,
    ),
    Tool(
        name="zstd -19 --patch-from",
        needs="zstd",
        make=(
            (
                "zstd",
                "-qf",
                "-19",
                "-T2",
                "--long=30",
                "--patch-from={old}",
                "{new}",
                "-o",
                "{delta}",
            ),
        ),
        apply=("zstd", "-dqf", "--long=30", "--patch-from={old}", "{delta}", "-o", "{out}"),
        sent=_file,
    ),
    Tool(
        name="casync",
        needs="casync",
        make=(
            ("casync", "make", "--store={work}/o", "{work}/old.caibx", "{old}"),
            ("casync", "make", "--store={work}/n", "{delta}", "{new}"),
        ),
        apply=("casync", "extract", "--store={work}/n", "--seed={old}", "{delta}", "{out}"),
        sent=_chunks,
    ),
    Tool(
        name="zchunk",
        needs="zck",
        make=(("zck", "-o", "{work}/old.zck", "{old}"), ("zck", "-o", "{delta}", "{new}")),
        apply=(),
        sent=_zck,
    ),
)
_ENDING = {"casync": "caibx", "zchunk": "zck"}


_WATCH = """
import os, resource, sys, time
began = time.monotonic()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ,
                        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""
"""A small process between: a child's most memory begins with that of whoever started it."""


def run(command: Sequence[str], names: Mapping[str, str]) -> tuple[float, int]:
    """Seconds and the most KiB of one program; ends the bench if it fails."""
    words = [word.format(**names) for word in command]
    watched = [sys.executable, "-I", "-S", "-c", _WATCH, *words]
    done = subprocess.run(watched, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"bench: {' '.join(words)} failed ({done.returncode})")
    seconds, kib = done.stdout.split()
    return float(seconds), int(kib)


def measure(tool: Tool, pair: Pair, work: Path) -> Row:
    """Make and apply once, and compare."""
    ending = _ENDING.get(tool.name, "delta")
    names = {
        "old": str(pair.old),
        "new": str(pair.new),
        "delta": str(work / f"it.{ending}"),
        "out": str(work / "out"),
        "work": str(work),
    }
    made = [run(command, names) for command in tool.make]
    applied = run(tool.apply, names) if tool.apply else None
    if applied and not _is_same(pair.new, work / "out"):
        sys.exit(f"bench: {tool.name} made another image")
    return Row(
        tool=tool.name,
        sent=tool.sent(names),
        make_seconds=sum(seconds for seconds, _ in made),
        make_kib=max(kib for _, kib in made),
        apply_seconds=applied[0] if applied else None,
        apply_kib=applied[1] if applied else None,
    )


def copy_seconds(pair: Pair, work: Path) -> float:
    """The yardstick: read the new image, write it, sync it."""
    out = f"of={work / 'copy'}"
    command = ["dd", f"if={pair.new}", out, "bs=1M", "conv=fsync", "status=none"]
    return run(command, {})[0]


def _is_same(left: Path, right: Path) -> bool:
    with left.open("rb") as one, right.open("rb") as other:
        while block := one.read(1 << 20):
            if block != other.read(1 << 20):
                return False
        return not other.read(1)


def judge(rows: Sequence[Row], copied: float) -> list[str]:
    """The targets, each with its verdict."""
    found = {row.tool: row for row in rows}
    ours = found["limpet, delta"]
    small = [row.sent for row in rows if (row.apply_kib or SMALL + 1) <= SMALL]
    targets = [
        ("made in at most 60 s", ours.make_seconds <= 60),
        ("applied in at most 48 MB", (ours.apply_kib or 0) * 1024 <= 48_000_000),
        (f"at half of a copy's speed ({copied:.1f} s)", (ours.apply_seconds or 0) <= 2 * copied),
        ("fewest bytes of all that apply in under 100 MB", ours.sent == min(small)),
    ]
    if "bsdiff" in found:
        targets.append(
            ("at most 1.4 times bsdiff's bytes", ours.sent <= 1.4 * found["bsdiff"].sent)
        )
    return [f"{'met   ' if met else 'MISSED'}  {what}" for what, met in targets]


def main(words: Sequence[str]) -> int:
    """Print the table; 0 whatever the verdicts are."""
    parser = argparse.ArgumentParser(prog="run bench deltas")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", action="append", help="a tool's name (repeatable)")
    asked = parser.parse_args(words)
    pair = load_pair()
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=pair.old.parent) as base:
        for tool in TOOLS:
            if asked.only and tool.name not in asked.only:
                continue
            if not shutil.which(tool.needs):
                print(f"bench: {tool.name} is left out: no {tool.needs}", file=sys.stderr)
                continue
            print(f"bench: {tool.name} ...", file=sys.stderr, flush=True)
            work = Path(tempfile.mkdtemp(dir=base))
            rows.append(measure(tool, pair, work))
            shutil.rmtree(work)
        copied = copy_seconds(pair, Path(base))
    if asked.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return 0
    size = pair.new.stat().st_size
    print(f"{pair.packages} packages, {pair.changed} changed; images of {size} bytes")
    print(f"{'':22} {'bytes':>12} {'make s':>8} {'MB':>6} {'apply s':>8} {'MB':>6}")
    for row in rows:
        applied = ("", "")
        if row.apply_seconds is not None and row.apply_kib is not None:
            applied = f"{row.apply_seconds:.1f}", f"{row.apply_kib * 1.024e-3:.0f}"
        memory = f"{row.make_kib * 1.024e-3:.0f}"
        print(
            f"{row.tool:22} {row.sent:>12,} {row.make_seconds:>8.1f} {memory:>6}"
            f" {applied[0]:>8} {applied[1]:>6}"
        )
    print("\n".join(judge(rows, copied)) if "limpet, delta" in {r.tool for r in rows} else "")
    return 0
