"""Checks of the tree itself that no linter does: sizes, and what must never be committed.

Owns the house's limits on files and functions, the list of content that belongs to
one machine and not to the project, and where a requirement's number may stand. Never
changes a file.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 399
MAX_FUNCTION_LINES = 49
MAX_BYTES = 1 << 20  # a larger file is no source; it is not read
SOURCE_SUFFIXES = {".css", ".html", ".js", ".py", ".sh"}
# Somebody else's file, kept as it came.
VENDORED = re.compile(r"(^|/)vendored/")
# Source is named by mechanism; the register points at it. Only these are named by number.
UNTAGGED = re.compile(r"^src/limpet/(?!audit/|requirements/).*\.py$")
TAG = re.compile(r"\bR[1-5](?:\.[0-9]{1,2}){0,3}[a-g]?\b")

# Each pattern is written so that it does not match its own line.
FORBIDDEN = (
    (
        re.compile(r"(?<![\w.~])/(?:work|root|farm|opt/pypi)(?:/|\b)(?![\w.])"),
        "a path of one machine",
    ),
    (re.compile(r"(?<![\w.~])/(?:home|tmp)/[\w.]"), "an absolute path of one machine"),
    (re.compile(r"(?i)\b(?:pypi\.org|pythonhosted\.org|npmjs\.(?:org|com))"), "a package index"),
    (re.compile(r"(?i)--(?:extra-)?index-url[ =]+http|--find-links[ =]+\S"), "a package index"),
    (re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*\n[A-Za-z0-9+/]"), "a private key"),
)


def list_files(root: Path) -> list[Path]:
    """Every file that is or could be committed, ignored ones left out, sorted."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others"]
    listing = subprocess.run([*command, "--exclude-standard"], capture_output=True, timeout=60)
    if listing.returncode != 0:
        sys.exit(f"tree: {root} is no git checkout, so what is in it cannot be told")
    names = {name for name in listing.stdout.decode().split("\0") if name}
    paths = (root / name for name in sorted(names))
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def find_forbidden(text: str) -> Iterator[tuple[int, str]]:
    """Line and description of each piece of content that must not be committed."""
    for pattern, description in FORBIDDEN:
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, f"{description}: {match.group().strip()}"


def find_long(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Line and description of each file or function over the house's limit."""
    count = len(text.splitlines())
    if count > MAX_FILE_LINES:
        yield 1, f"{count} lines; at most {MAX_FILE_LINES}: is there a seam?"
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {length} lines; at most {MAX_FUNCTION_LINES}"


def find_tags(text: str) -> Iterator[tuple[int, str]]:
    """Line and description of each requirement's number in a docstring or comment of `text`.

    Other strings may hold one: a command's example, a finding about a product that names one.
    """
    prose = list(_find_docstrings(text))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            prose.append((token.start[0], token.string))
    for first, words in sorted(prose):
        for match in TAG.finditer(words):
            line = first + words.count("\n", 0, match.start())
            yield line, f"a requirement's number, {match.group()}: name the thing or the section"


def _find_docstrings(text: str) -> Iterator[tuple[int, str]]:
    """Line and words of each string that stands alone: a docstring, or an attribute's."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(words))):
                yield node.lineno, words


def find_problems(root: Path) -> list[str]:
    """One line, "path:line: what", for each thing wrong under `root`."""
    problems: list[str] = []
    for path in list_files(root):
        name = path.relative_to(root).as_posix()
        if path.stat().st_size > MAX_BYTES or VENDORED.search(name):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = list(find_forbidden(text))
        if path.suffix in SOURCE_SUFFIXES or name in {"run", ".ci/run"}:
            found += find_long(path, text)
        if UNTAGGED.match(name):
            found += find_tags(text)
        problems += [f"{name}:{line}: {what}" for line, what in found]
    return problems


def main() -> int:
    """Print each problem; 1 if there is any."""
    problems = find_problems(ROOT)
    for problem in problems:
        print(problem)
    print(f"tree: {len(problems)} problems" if problems else "tree: clean")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
