"""Byte code beside the sources of a firmware tree, so that no start of a device compiles them.

Owns what the byte code of a source is: one function makes it for the build, and again for the gate
that holds an image against it. Never runs what it compiles, and takes nothing that was compiled
before: not by an editor, not by whoever made a package.

    app/thermostat/functions.py
    app/thermostat/__pycache__/functions.cpython-311.pyc

Of the kind "unchecked hash" (PEP 552): Python takes it without a look at the source, for the whole
slot is verified by digest before. An interpreter of another minor version does not find it by its
name, and compiles the source as before.
"""

import functools
import importlib.util
import os
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from limpet.errors import Rejected, Unavailable
from limpet.firmware.tree import Kind, verify_name, walk_tree
from limpet.storage import read_bounded

__all__ = ["PYTHON_TAG", "add_byte_code", "compile_tree", "is_byte_code"]

PYTHON_TAG = sys.implementation.cache_tag or ""
"""How this interpreter's byte code is called, as `cpython-311`; empty: it has none."""

SECONDS = 300.0
SOURCE_BYTES = 16 << 20
_CACHE = "__pycache__"
_SUFFIXES = (".pyc", ".pyo")
_UNCHECKED = (1).to_bytes(4, "little")
"""PEP 552's flags: named by a hash of the source, which nobody compares."""

# Bare, and without the caller's settings: -I would do that too, and ignore the seed.
_COMPILER = ("-s", "-S", "-P", "-B", "-W", "ignore", "-c")
_SEED = {"PYTHONHASHSEED": "0"}
_PROGRAM = """\
import marshal, struct, sys
read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
while head := read(8):
    name, source = map(read, struct.unpack(">II", head))
    try:
        made = compile(source, name.decode(), "exec", dont_inherit=True, optimize=0)
        code = marshal.dumps(made, 2)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        code = b""
    write(struct.pack(">I", len(code)) + code)
"""
"""Version 2 of the format has no references: those of later ones depend on what else the process
did (bpo-34093), and so would the image. What it cannot hold has no byte code."""

_Sources = tuple[tuple[str, bytes], ...]
"""Names in the tree, and contents."""


def add_byte_code(tree: Path) -> None:
    """Put the byte code of each source of `tree` beside it. Raises as `compile_tree`."""
    for name, code in compile_tree(tree).items():
        path = tree / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(code)
        path.chmod(0o644)


def compile_tree(tree: Path) -> Mapping[str, bytes]:
    """The byte code that this interpreter makes of the sources in `tree`, by its name there.

    The same sources give the same bytes wherever `tree` lies and whatever else was compiled. A
    source that Python cannot compile has none. Raises `Rejected` as `walk_tree`, and
    `Unavailable` where no compiler can be run.
    """
    parts: dict[str, list[tuple[str, bytes]]] = {}
    for name in _sources(tree) if PYTHON_TAG else ():
        source = read_bounded(tree / name, max_bytes=SOURCE_BYTES)
        parts.setdefault(name.partition("/")[0], []).append((name, source))
    return {
        name: code for sources in parts.values() for name, code in _compile(tuple(sources)).items()
    }


def is_byte_code(name: str) -> bool:
    """Whether Python could take the file `name` of a tree for byte code."""
    return _CACHE in name.split("/") or name.endswith(_SUFFIXES)


def _sources(tree: Path) -> Iterator[str]:
    for entry in walk_tree(tree):
        wanted = entry.kind is not Kind.DIRECTORY and entry.size <= SOURCE_BYTES
        if wanted and entry.name.endswith(".py") and not is_byte_code(entry.name):
            try:
                verify_name(_place(entry.name))
            except Rejected:  # too long with what is added to it
                continue
            yield entry.name


def _place(source: str) -> str:
    path = PurePosixPath(source)
    return str(path.parent / _CACHE / f"{path.stem}.{PYTHON_TAG}.pyc")


@functools.lru_cache(maxsize=8)
def _compile(sources: _Sources) -> Mapping[str, bytes]:
    """Of one part of a tree. Most builds of a process differ in the app alone."""
    answer = _run(_framed(sources))
    made: dict[str, bytes] = {}
    at = 0
    for name, source in sources:
        (size,) = struct.unpack_from(">I", answer, at)
        code = answer[at + 4 : at + 4 + size]
        at += 4 + size
        if code:
            hashed = importlib.util.source_hash(source)
            made[_place(name)] = importlib.util.MAGIC_NUMBER + _UNCHECKED + hashed + code
    return made


def _framed(sources: Iterable[tuple[str, bytes]]) -> bytes:
    return b"".join(
        struct.pack(">II", len(name), len(source)) + name.encode("ascii") + source
        for name, source in sources
    )


def _run(told: bytes) -> bytes:
    command = [sys.executable, *_COMPILER, _PROGRAM]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    try:
        done = subprocess.run(
            command,
            input=told,
            capture_output=True,
            env=clean | _SEED,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"the sources cannot be compiled: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise Rejected(
            "not-firmware",
            f"Python's compiler ended with status {done.returncode}: {said[-1][:300]}",
            hint="one of the sources is more than it can take",
        )
    return done.stdout
