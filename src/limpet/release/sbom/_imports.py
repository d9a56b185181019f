"""Which packages the product's own code uses: told by its import statements.

Owns that reading. It runs nothing: what is imported by a name made at run time is not seen.
"""

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["imported_names"]

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""The fields of a statement, a handler or a case that hold statements, handlers or cases."""


def imported_names(tree: Path, files: Iterable[str]) -> frozenset[str]:
    """The top-level names that the Python sources among `files` import, wherever they do it."""
    sources = [name for name in files if name.endswith(".py")]
    return frozenset().union(*(_imports(_read(tree / name)) for name in sources))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@functools.lru_cache(maxsize=2048)
def _imports(source: bytes) -> frozenset[str]:
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()  # not for Python's present version: it states nothing that can be read
    found: set[str] = set()
    for node in _statements(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return frozenset(found)


def _statements(module: ast.Module) -> Iterator[ast.AST]:
    """Every statement, and no expression: nine of ten nodes are, and none of them imports."""
    left: list[ast.AST] = [module]
    while left:
        node = left.pop()
        yield node
        for block in _BLOCKS:
            left.extend(getattr(node, block, ()))
