"""`./run bench deltas`: an update of a real root file system, ours beside other tools', in one run.

Owns what is measured of the tools (`bench.delta_tools`): bytes to send, seconds to make, seconds,
CPU seconds and memory to apply, each in a process of its own and until the new image is durable.
Every result is compared with the new image. A tool that cannot run is left out, and said.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.delta_report import Copies, Row, judge, machine, table
from bench.delta_tools import TOOLS, Command, Names, Tool
from bench.images import Pair, load_pair
from bench.ranges import serve_ranges
from bench.rauc import COST

__all__ = ["main"]

_WATCH = """
import json, os, resource, signal, sys, time
began = time.monotonic()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ, setpgroup=0,
                        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
cut = []
def end(*_):
    cut.append(1)
    os.killpg(child, signal.SIGKILL)
signal.signal(signal.SIGALRM, end)
signal.signal(signal.SIGTERM, end)
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"seconds": time.monotonic() - began, "kib": used.ru_maxrss,
                  "cpu_seconds": used.ru_utime + used.ru_stime}))
sys.exit(99 if cut else min(abs(status), 98))
"""
"""A small process between: a child's most memory begins with that of whoever started it."""

_LIMITS = Path("/sys/fs/cgroup/blkio")
"""Of all processes (control groups 1): what is written through the cache is nobody's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one program: wall clock, CPU of it and its children, the most memory of any of them."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    kib: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        """One after the other."""
        return Cost(
            seconds=self.seconds + other.seconds,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            kib=max(self.kib, other.kib),
        )


class CannotRunError(Exception):
    """Why a row is left out."""


def run(command: Command, names: Names, limit: float = 0.0) -> Cost:
    """Run one program, for at most `limit` seconds (0: as long as it takes)."""
    words = [word.format(**names) for word in command]
    watched = [sys.executable, "-I", "-S", "-c", _WATCH, str(limit), *words]
    with subprocess.Popen(
        watched, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            answer, errors = process.communicate()
        except BaseException:
            process.terminate()  # and what it watches with it
            raise
    if process.returncode == 99:
        raise CannotRunError(f"{words[0]} was cut after {limit:.0f} s")
    if process.returncode:
        said = " | ".join(errors.strip().splitlines()[-3:])
        raise CannotRunError(f"{' '.join(words)} failed ({process.returncode}): {said}")
    return Cost(**json.loads(answer))


def measure(tool: Tool, pair: Pair, work: Path, slot: Path, asked: argparse.Namespace) -> Row:
    """Make and apply once, and compare."""
    out, delta = work / "out", work / f"it.{tool.ending}"
    (work / "device").mkdir()
    target = slot if tool.into == "slot" else out
    kept = asked.keep / f"{tool.name.split()[0]}.delta" if asked.keep else None
    with serve_ranges(work) as url:
        names = {"old": str(pair.old), "new": str(pair.new), "delta": str(delta)}
        names |= {"out": str(out), "slot": str(slot), "work": str(work), "url": url}
        for command in tool.before:
            run(command, names)
        made = None
        if tool.one_file and kept and kept.exists():
            delta.symlink_to(kept)
        else:
            made = sum((run(command, names, asked.limit) for command in tool.make), Cost())
            if tool.one_file and kept:
                shutil.copyfile(delta, kept)
        copied = copy_images(pair, slot) if tool.into == "slot" else None
        applied = sum((run(command, names) for command in tool.apply), Cost())
        if (work / COST).exists():  # a service did it, and not the program that was started
            applied = Cost(**json.loads((work / COST).read_text()))
        applied += Cost(seconds=_sync(target))
        if not _is_same(pair.new, target):
            raise CannotRunError("it made another image")
        return Row(
            tool=tool.name,
            sent=tool.sent(names),
            make_seconds=made.seconds if made else None,
            make_cpu_seconds=made.cpu_seconds if made else None,
            make_kib=made.kib if made else None,
            apply_seconds=applied.seconds,
            apply_cpu_seconds=applied.cpu_seconds,
            apply_kib=applied.kib,
            load=os.getloadavg()[0],
            copied=copied,
        )


def copy_images(pair: Pair, slot: Path) -> Copies:
    """The yardstick, three times right before a tool installs onto the same slot, because what else
    a machine does changes within minutes: read an image, write it, sync it; a plain copy of the
    old one and no check."""
    command = ("dd", f"if={pair.old}", f"of={slot}", "bs=1M", "conv=fsync,notrunc", "status=none")
    costs = sorted((run(command, {}) for _ in range(3)), key=lambda cost: cost.seconds)
    return Copies(seconds=costs[1].seconds, cpu_seconds=costs[1].cpu_seconds)


@contextlib.contextmanager
def loop_device(file: Path, size: int, pace: int = 0) -> Iterator[Path]:
    """A block device of `size` bytes, which `file` holds; written once, so that room is there.

    `pace`: it takes so many MB a second, and gives twice as many, as flash of a device does; 0: as
    fast as it is.
    """
    with file.open("wb") as stream:
        for _ in range(size >> 20):
            stream.write(b"\xff" * (1 << 20))
        os.fsync(stream.fileno())
    command = ["losetup", "--find", "--show", str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    device = Path(done.stdout.strip())
    try:
        _slow_down(device, pace)
        yield device
    finally:
        _slow_down(device, 0)
        subprocess.run(["losetup", "--detach", str(device)], check=False)


def _slow_down(device: Path, pace: int) -> None:
    number = device.stat().st_rdev
    for way, rate in (("write", pace), ("read", 2 * pace)):
        limits = _LIMITS / f"blkio.throttle.{way}_bps_device"
        if pace or limits.exists():
            limits.write_text(f"{os.major(number)}:{os.minor(number)} {rate * 1_000_000}\n")


def _sync(path: Path) -> float:
    began = time.monotonic()
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return time.monotonic() - began


def _is_same(left: Path, right: Path) -> bool:
    with left.open("rb") as one, right.open("rb") as other:
        while block := one.read(1 << 20):
            if block != other.read(1 << 20):
                return False
        return not other.read(1)


def _rows(pair: Pair, asked: argparse.Namespace, base: Path) -> Iterator[tuple[str, Row | str]]:
    """Each tool with its row, or why there is none."""
    for tool in TOOLS:
        if asked.only and tool.name.split()[0].rstrip(",") not in asked.only:
            continue
        missing = [name for name in tool.needs if not shutil.which(name)]
        if missing:
            yield tool.name, f"not installed: {', '.join(missing)}"
            continue
        print(f"bench: {tool.name} ...", file=sys.stderr, flush=True)
        work = Path(tempfile.mkdtemp(dir=base))
        try:
            with loop_device(work / "slot", pair.new.stat().st_size, asked.pace) as slot:
                yield tool.name, measure(tool, pair, work, slot, asked)
        except (CannotRunError, subprocess.CalledProcessError) as error:
            yield tool.name, str(error)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run bench deltas")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--only", action="append", help="the first word of a tool's name (repeatable)"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        help="a directory for the deltas of bsdiff, xdelta3 and zstd: one that lies there is"
        " applied and not made again, and its row says so",
    )
    parser.add_argument(
        "--limit", type=float, default=0.0, help="seconds after which a tool's making is cut"
    )
    parser.add_argument(
        "--pace",
        type=int,
        default=0,
        metavar="MB",
        help="the slot takes so many MB a second, and gives twice as many, as eMMC does",
    )
    return parser


def main(words: Sequence[str]) -> int:
    """Print the table; 0 whatever the verdicts are."""
    parser = _parser()
    asked = parser.parse_args(words)
    if asked.keep:
        asked.keep = asked.keep.resolve()
        asked.keep.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        parser.error("needs root, for loop devices")
    if asked.pace and not (_LIMITS / "blkio.throttle.write_bps_device").exists():
        parser.error("--pace needs the blkio controller of control groups 1")
    signal.signal(signal.SIGTERM, _leave)  # so that loop devices go
    pair, began = load_pair(), machine()
    rows, left_out = [], {}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=pair.old.parent) as base:
        for name, found in _rows(pair, asked, Path(base)):
            if isinstance(found, Row):
                rows.append(found)
                said = f"{found.sent:,} bytes, applied in {found.apply_seconds:.1f} s"
                if found.copied is not None:
                    said += f", a plain copy in {found.copied.seconds:.1f} s"
            else:
                left_out[name] = said = found
            print(f"bench: {name}: {said}", file=sys.stderr, flush=True)
    verdicts = judge(rows)
    if asked.json:
        result = {
            "machine": began,
            "pair": {"packages": pair.packages, "changed": pair.changed},
            "bytes": pair.new.stat().st_size,
            "rows": [asdict(row) for row in rows],
            "left_out": left_out,
            "targets": [{"target": what, "met": met} for what, met in verdicts],
        }
        print(json.dumps(result, indent=1))
        return 0
    print(f"{began['date']}, {began['cores']} cores, load {began['load']:.1f}")
    print(f"{pair.packages} packages, {pair.changed} changed; {pair.new.stat().st_size} bytes")
    print("\n".join(table(rows)))
    for name, why in left_out.items():
        print(f"left out: {name}: {why}")
    for what, met in verdicts:
        print(f"{'met   ' if met else 'MISSED'}  {what}")
    return 0
