"""Where the wheels of a lock come from: a directory, or an index by way of pip and a cache.

Owns the choice of one file for each package, which depends on names, hashes and the target alone,
and the cache. Trusts neither: each file is hashed here, whatever pip said of it.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.release.packages._lock import Locked
from limpet.release.packages._target import Target
from limpet.release.packages._wheel import MAX_WHEEL_BYTES, parse_name
from limpet.storage import make_directory, read_bounded

__all__ = ["cache_directory", "fetch_wheels", "gather_wheels"]

PIP_SECONDS = 900.0
MAX_DIRECTORY = 10_000
_LAST_LINES = 3
_PIP = (
    "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet",
    "--progress-bar", "off", "--require-hashes", "--only-binary", ":all:", "--no-deps",
)  # fmt: skip

Found = Mapping[str, tuple[str, bytes]]
"""A wheel's file name and bytes, by the package's name."""


def cache_directory(environment: Mapping[str, str]) -> Path:
    """`LIMPET_CACHE`, or `limpet` below `XDG_CACHE_HOME` (by default `~/.cache`)."""
    if own := environment.get("LIMPET_CACHE"):
        return Path(own)
    base = environment.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "limpet"


def gather_wheels(wanted: Iterable[Locked], directory: Path, target: Target) -> Found:
    """The best wheel in `directory` of each `wanted` package, with a hash that its lock names.

    Raises `Rejected("wrong-platform" | "tampered-package")` where there is a wheel of the package
    but not of this target, or not of these bytes, and `Unavailable` where there is none.
    """
    by_name: dict[str, list[Path]] = {}
    for path in _list(directory):
        with contextlib.suppress(Rejected):
            name, version, _ = parse_name(path.name)
            by_name.setdefault(f"{name} {version}", []).append(path)
    return {
        one.name: _choose(one, by_name.get(f"{one.name} {one.version}", []), directory, target)
        for one in wanted
    }


def fetch_wheels(
    wanted: Iterable[Locked], target: Target, cache: Path, note: Callable[[str], None]
) -> Found:
    """The same from the index that pip is configured for, or from what it brought earlier.

    One directory of the cache holds what pip chose for one lock and target, so that the
    choice does not depend on what else was built. A damaged one is made anew. Raises
    `Unavailable`, and as `gather_wheels`.
    """
    wanted = tuple(wanted)
    lines = "".join(f"{_requirement(one)}\n" for one in wanted)
    key = hashlib.sha256(f"{target.platform} {target.python}\n{lines}".encode()).hexdigest()[:32]
    place = cache / "wheels" / key
    if place.is_dir():
        try:
            return gather_wheels(wanted, place, target)
        except (Rejected, Unavailable):
            shutil.rmtree(place, ignore_errors=True)
    make_directory(place.parent)
    note(f"fetching {len(wanted)} packages")
    work = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=place.parent))
    try:
        _download(lines, target, work)
        found = gather_wheels(wanted, work, target)
        with contextlib.suppress(OSError):  # another build was faster
            work.rename(place)
        return found
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _requirement(one: Locked) -> str:
    hashes = " ".join(f"--hash=sha256:{digest}" for digest in sorted(one.hashes))
    return f"{one.name}=={one.version} {hashes}"


def _download(lines: str, target: Target, into: Path) -> None:
    file = into / "requirements.txt"
    file.write_text(lines)
    platforms = [word for name in target.platforms for word in ("--platform", name)]
    python = ("--implementation", "cp", "--python-version", target.python)
    command = [sys.executable, *_PIP, *platforms, *python, "--dest", str(into), "-r", str(file)]
    # What obeyed the caller's PYTHONPATH would run what it finds there.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    hint = (
        "is a package index within reach? pip obeys its usual settings (PIP_INDEX_URL);"
        " or give the wheels: --wheels DIR"
    )
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean,
            timeout=PIP_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"pip did not bring the packages: {error}", hint=hint) from error
    if done.returncode:
        lines_said = done.stdout.decode(errors="replace").splitlines()
        said = [" ".join(line.split()) for line in lines_said if line.strip()]
        why = "; ".join(said[-_LAST_LINES:]) or f"status {done.returncode}"
        raise Unavailable(f"pip did not bring the packages: {why}", hint=hint)


def _list(directory: Path) -> list[Path]:
    try:
        found = sorted(directory.iterdir())
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot read {directory}: {why}", hint="name a directory") from error
    if len(found) > MAX_DIRECTORY:
        raise Rejected("too-large", f"{directory} holds more than {MAX_DIRECTORY} files")
    return [path for path in found if path.suffix == ".whl"]


def _choose(
    locked: Locked, paths: list[Path], directory: Path, target: Target
) -> tuple[str, bytes]:
    ranks = {tag: rank for rank, tag in enumerate(target.tags)}
    fitting: list[tuple[int, str, Path]] = []
    for path in paths:
        own = [ranks[tag] for tag in parse_name(path.name)[2] if tag in ranks]
        if own:
            fitting.append((min(own), path.name, path))
    if not paths:
        raise Unavailable(
            f"there is no wheel of {locked.name} {locked.version} in {directory}",
            hint=f"{locked.place} names it",
        )
    if not fitting:
        names = ", ".join(path.name for path in paths)
        raise Rejected(
            "wrong-platform",
            f"not for {target.platform} with Python {target.python}: {names}",
            hint="bring the wheel of that platform, or name another: --platform, --python-version",
        )
    for _, name, path in sorted(fitting):
        data = read_bounded(path, max_bytes=MAX_WHEEL_BYTES)
        if hashlib.sha256(data).hexdigest() in locked.hashes:
            return name, data
    raise Rejected(
        "tampered-package",
        f"{fitting[0][2]} is none of the files that {locked.place} names",
        hint="remove it, and bring the one that was locked",
    )
