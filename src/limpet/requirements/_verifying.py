"""Holds the register against the statements and against a source tree.

Owns the rules that tie the three together. Never stops at the first fault: whoever
mends the register wants all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Rejected

from ._loading import load_register, load_statements
from ._resolving import resolve_pointer
from ._types import Entry, PointerKind, Statement


@dataclass(frozen=True, slots=True)
class Dangling:
    """One fault of the register; `kind` and `pointer` are empty if the whole entry is at fault."""

    statement: str
    kind: PointerKind | None
    pointer: str
    why: str

    def __str__(self) -> str:
        return f"{self.statement}: {self.why}"


def find_source_tree(package: Path | None = None) -> Path | None:
    """The source tree that this limpet runs from, or None if it is installed without one."""
    top = (package or Path(__file__).resolve().parent.parent).parent.parent
    return top if (top / "pyproject.toml").is_file() and (top / "src").is_dir() else None


def verify_register(
    root: Path,
    *,
    statements: Sequence[Statement] | None = None,
    register: Mapping[str, Entry] | None = None,
) -> tuple[Dangling, ...]:
    """Every fault of the register in the source tree `root`, in the draft's order; () is good.

    A fault is a pointer that leads nowhere, a statement without an entry, or an entry
    without a statement. The data that this limpet carries are the default. Raises
    `Rejected` if a data file itself is malformed.
    """
    asked = load_statements() if statements is None else statements
    entries = load_register() if register is None else register
    return tuple(_find_faults(root, asked, entries))


def _find_faults(
    root: Path, statements: Sequence[Statement], register: Mapping[str, Entry]
) -> Iterator[Dangling]:
    for statement in statements:
        entry = register.get(statement.id)
        if entry is None:
            yield Dangling(statement.id, None, "", "the register has no entry for it")
            continue
        for kind in PointerKind:
            for pointer in entry.pointers(kind):
                try:
                    resolve_pointer(root, kind, pointer)
                except Rejected as error:
                    yield Dangling(statement.id, kind, pointer, error.message)
    known = {statement.id for statement in statements}
    for name in register:
        if name not in known:
            yield Dangling(name, None, "", "the register has an entry, but there is no statement")
