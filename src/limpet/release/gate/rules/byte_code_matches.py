"""byte-code-matches: what Python runs without a look at the source is what the source says."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from limpet.firmware.tree import Kind, walk_tree
from limpet.release._bytecode import PYTHON_TAG, SOURCE_BYTES, compile_tree, is_byte_code
from limpet.release.gate._rule import Fault, Finding, Rule, judged
from limpet.release.gate._scanning import IN_IMAGE
from limpet.release.gate._subject import Subject
from limpet.storage import read_bounded

__all__ = ["RULE", "judge"]

_SHOWN = 20
_CACHED = re.compile(r"/__pycache__/[^/]+\.pyc$")
_CODE_BYTES = 4 * SOURCE_BYTES


def judge(subject: Subject) -> Finding:
    """Compiles every source of the image, and compares. An image without byte code passes."""
    made = compile_tree(subject.tree)
    found = [
        entry.name
        for entry in walk_tree(subject.tree)
        if entry.kind is not Kind.DIRECTORY and is_byte_code(entry.name)
    ]
    faults = tuple(_faults(subject.tree, found, made))
    more = len(faults) - _SHOWN
    rest = (Fault(f"and {more} more files of byte code"),) if more > 0 else ()
    evidence = f"{len(found)} files of byte code; {PYTHON_TAG} compiles {len(made)} sources"
    return judged((*faults[:_SHOWN], *rest), evidence)


def _faults(tree: Path, found: list[str], made: Mapping[str, bytes]) -> Iterator[Fault]:
    for name in found:
        where = f"{IN_IMAGE}{name}"
        if name in made:
            if read_bounded(tree / name, max_bytes=_CODE_BYTES) != made[name]:
                text = "is not what its source compiles to"
                yield Fault(text, where, hint=f"build it again, with the gate's {PYTHON_TAG}")
        elif _CACHED.search(name) and f".{PYTHON_TAG}." not in name:
            text = f"is not of the gate's Python, {PYTHON_TAG}, which cannot tell what it does"
            yield Fault(text, where, hint="build and judge with the Python that devices have")
        else:
            yield Fault("is byte code, or beside it, and no source of the image gives it", where)


RULE = Rule(
    id="byte-code-matches",
    title="All byte code in the image is what the source beside it compiles to",
    reason="A device runs it in place of the source: what differs is code that no reviewer saw.",
    statements=("R4a",),
    hint="build it again; the build makes byte code itself",
    judge=judge,
    waits=True,
)
