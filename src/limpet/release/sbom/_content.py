"""The files of a firmware tree: who owns which, and one digest over those of a component.

Owns the form of that digest. It is made so that anybody can make it again without limpet: the
SHA-256 of the lines that `sha256sum` prints for the component's files, their names relative to the
tree and in the order of their bytes.

    cd TREE; find app -type f | LC_ALL=C sort | xargs sha256sum | sha256sum
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Unavailable
from limpet.firmware.tree import Kind, TreeHash, walk_tree

__all__ = ["Files", "read_files"]

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Files:
    """Every file of a tree: its SHA-256 in hexadecimal, by its name with `/`."""

    digests: Mapping[str, str]
    digest_of_tree: str  # as `limpet.firmware.tree` has it

    def below(self, *paths: str) -> tuple[str, ...]:
        """The names at and below `paths`, in the order of their bytes."""
        return tuple(
            sorted(
                name
                for name in self.digests
                if any(name == path or name.startswith(f"{path}/") for path in paths)
            )
        )

    def digest(self, paths: Iterable[str]) -> str:
        """SHA-256 over the files at and below `paths`; empty if there is none."""
        names = self.below(*paths)
        lines = "".join(f"{self.digests[name]}  {name}\n" for name in names)
        return hashlib.sha256(lines.encode()).hexdigest() if names else ""


def read_files(tree: Path) -> Files:
    """The files of `tree`. Raises `Rejected("tampered-tree")` as `walk_tree`, and `Unavailable`."""
    found: dict[str, str] = {}
    whole = TreeHash()
    for entry in walk_tree(tree):
        if entry.kind is Kind.DIRECTORY:
            whole.add(entry)
            continue
        found[entry.name] = _hash(tree / entry.name)
        whole.add(entry, bytes.fromhex(found[entry.name]))
    return Files(found, whole.hexdigest())


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot read {path}: {why}") from error
    return digest.hexdigest()
