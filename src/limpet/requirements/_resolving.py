"""Finds what a pointer of the register points at, in a source tree.

Owns the grammar of pointers: modules, names in them, tests, pages and headings.
Never imports or runs what it finds: names are looked up in the syntax tree, so
that resolving is quick, safe on any tree, and needs no dependency.
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from limpet.errors import LimpetError, Rejected
from limpet.storage import read_bounded

from ._types import PointerKind

MAX_FILE_BYTES = 4 << 20
_MODULE = re.compile(r"limpet(\.[A-Za-z_][A-Za-z0-9_]*)*")
_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_INLINE_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a pointer leads: a path relative to the tree, and a line of it, from 1."""

    path: PurePosixPath
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def resolve_pointer(root: Path, kind: PointerKind, pointer: str) -> Location:
    """Where `pointer` leads in the source tree `root`.

    Raises `Rejected("dangling-pointer")`, saying which part of it leads nowhere.
    """
    try:
        match kind:
            case PointerKind.CODE:
                return _resolve_code(root, pointer)
            case PointerKind.TESTS:
                return _resolve_test(root, pointer)
            case PointerKind.AUDIT:
                if not pointer.startswith("limpet.audit."):
                    raise _dangling("an audit check is a module below limpet.audit")
                return _resolve_code(root, pointer)
            case PointerKind.DOCUMENTS:
                return _resolve_document(root, pointer)
    except Rejected as error:
        raise Rejected("dangling-pointer", f"{kind} {pointer}: {error.message}") from error


def _dangling(message: str) -> Rejected:
    return Rejected("dangling-pointer", message)


def _resolve_code(root: Path, pointer: str) -> Location:
    where, colon, name = pointer.partition(":")
    if _MODULE.fullmatch(where):
        path = _module_path(root, where)
    else:
        path = _file_path(root, where)
        if colon and path.suffix != ".py":
            raise _dangling("a name can follow a Python file only")
    if not colon:
        return Location(path, 1)
    return Location(path, _line_of_name(_parse(root, path), name))


def _resolve_test(root: Path, pointer: str) -> Location:
    where, *names = pointer.split("::")
    path = _file_path(root, where)
    if not names or not names[-1].startswith("test_"):
        raise _dangling('a test is "path::test_name"')
    return Location(path, _line_of_name(_parse(root, path), ".".join(names)))


def _resolve_document(root: Path, pointer: str) -> Location:
    where, hash_sign, anchor = pointer.partition("#")
    path = _file_path(root, where)
    if not hash_sign:
        return Location(path, 1)
    for line, found in _anchors(_read(root, path).splitlines()):
        if found == anchor:
            return Location(path, line)
    raise _dangling(f"{path} has no heading #{anchor}")


def _module_path(root: Path, module: str) -> PurePosixPath:
    base = PurePosixPath("src", *module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if (root / path).is_file():
            return path
    raise _dangling(f"there is no module {module}")


def _file_path(root: Path, text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or str(path) != text:
        raise _dangling("a file is named by its plain path from the top of the tree")
    if not (root / path).is_file():
        raise _dangling(f"there is no file {path}")
    return path


def _read(root: Path, path: PurePosixPath) -> str:
    try:
        return read_bounded(root / path, max_bytes=MAX_FILE_BYTES).decode()
    except (LimpetError, UnicodeDecodeError) as error:
        raise _dangling(f"{path} cannot be read: {error}") from error


def _parse(root: Path, path: PurePosixPath) -> ast.Module:
    try:
        return ast.parse(_read(root, path))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise _dangling(f"{path} is not valid Python: {error}") from error


def _line_of_name(module: ast.Module, dotted: str) -> int:
    """The line that defines `dotted` ("name", "Class.method") in `module`."""
    body: Iterable[ast.stmt] = module.body
    line = 0
    for part in dotted.split("."):
        node = _find_definition(body, part)
        if node is None:
            if _is_imported(body, part):
                raise _dangling(f"{part} is only imported there: point at its definition")
            raise _dangling(f"there is no {dotted} in it")
        line = node.lineno
        body = node.body if isinstance(node, ast.ClassDef) else ()
    return line


def _find_definition(body: Iterable[ast.stmt], name: str) -> ast.stmt | None:
    for node in _flatten(body):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() if node.name == name:
                return node
            case ast.Assign(targets=targets) if any(_names(target, name) for target in targets):
                return node
            case ast.AnnAssign(target=target) if _names(target, name):
                return node
    return None


def _flatten(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """Statements of a module or class, those below a plain `if` or `try` included."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _flatten([*node.body, *node.orelse])


def _names(target: ast.expr, name: str) -> bool:
    if isinstance(target, ast.Tuple):
        return any(_names(part, name) for part in target.elts)
    return isinstance(target, ast.Name) and target.id == name


def _is_imported(body: Iterable[ast.stmt], name: str) -> bool:
    return any(
        (alias.asname or alias.name) == name
        for node in _flatten(body)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    )


def _anchors(lines: Iterable[str]) -> Iterable[tuple[int, str]]:
    """Line and anchor of each Markdown heading, as forges make it: repeats get -1, -2."""
    seen: dict[str, int] = {}
    fence = ""
    for number, line in enumerate(lines, 1):
        mark = _FENCE.match(line)
        if mark and fence in ("", mark.group(1)):
            fence = "" if fence else mark.group(1)
        heading = None if fence or mark else _HEADING.match(line)
        if heading is None:
            continue
        text = _INLINE_LINK.sub(r"\1", heading.group(1)).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        repeat = seen.get(slug, 0)
        seen[slug] = repeat + 1
        yield number, f"{slug}-{repeat}" if repeat else slug
