"""States as directories: made cheaply, changed by whoever starts from them, thrown away.

Owns a place in memory where there is one. The trees of slots, most of a device, are made once
each and moved from state to state; who looks at a state must not change them.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cuts.disk import Node
from tests.cuts.scratch import scratch

__all__ = ["Place", "place", "write_node"]

IN_MEMORY = Path("/dev/shm")
LEAST_FREE = 512 << 20
MOST_TREES = 24


@contextmanager
def place() -> Iterator["Place"]:
    """Directories for states, which are all removed in the end."""
    with scratch(_where()) as top:
        yield Place(top)


class Place:
    """Directories for states, below `top`."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._trees: dict[bytes, Path] = {}
        self._count = 0

    @contextmanager
    def start_only(self, root: Node) -> Iterator[Path]:
        """The state without what the updater has staged, for who leaves the slots' trees alone."""
        with self._directory() as path:
            borrowed = []
            for name, node in root.entries.items():
                if name == "slots":
                    (path / name).mkdir()
                    for slot, tree in node.entries.items():
                        if tree.is_directory:
                            borrowed.append((self._tree(tree), path / name / slot))
                        else:
                            write_node(tree, path / name / slot)
                elif name == "updater":
                    write_node(node, path / name, without=("staging",))
                else:
                    write_node(node, path / name)
            for kept, lent in borrowed:
                kept.rename(lent)
            yield path
            for kept, lent in borrowed:
                lent.rename(kept)

    @contextmanager
    def whole(self, root: Node, *, owned: bool = False) -> Iterator[Path]:
        """All of the state; with `owned` each entry has its owner too (that takes root)."""
        with self._directory() as path:
            path.rmdir()
            write_node(root, path, owned=owned)
            yield path

    def _tree(self, node: Node) -> Path:
        known = self._trees.pop(node.key, None)
        if known is None:
            while len(self._trees) >= MOST_TREES:
                shutil.rmtree(self._trees.pop(next(iter(self._trees))))
            self._count += 1
            known = self._top / f"tree-{self._count}"
            write_node(node, known)
        self._trees[node.key] = known  # the newest last
        return known

    @contextmanager
    def _directory(self) -> Iterator[Path]:
        self._count += 1
        path = self._top / f"state-{self._count}"
        path.mkdir()
        try:
            yield path
        finally:
            shutil.rmtree(path)


def write_node(
    node: Node, path: Path, *, without: tuple[str, ...] = (), owned: bool = False
) -> None:
    """Make the file or directory at `path`."""
    if node.is_directory:
        path.mkdir()
        for name, child in node.entries.items():
            if name not in without:
                write_node(child, path / name, owned=owned)
    elif node.is_link:
        path.symlink_to(os.fsdecode(node.data))
    else:
        path.write_bytes(node.data)
    if owned:
        os.chown(path, *node.owner, follow_symlinks=False)
    if not node.is_link:
        path.chmod(node.mode)


def _where() -> Path | None:
    try:
        free = os.statvfs(IN_MEMORY)
    except OSError:
        return None
    return IN_MEMORY if free.f_bavail * free.f_frsize >= LEAST_FREE else None
