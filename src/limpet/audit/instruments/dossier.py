"""The product's files: design file, source history, lock files, tests, label.

Owns reading them; history through `limpet.source`, which runs git without the repository's hooks.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from limpet.audit.target import Target
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.product import PRODUCT_FILE, Context, Problem, Product, load_product, read_problems
from limpet.requirements import load_statements
from limpet.source import list_changes, list_commits
from limpet.storage import read_bounded

__all__ = [
    "Design",
    "History",
    "Lock",
    "read_design",
    "read_history",
    "read_label_text",
    "read_locks",
    "read_tests",
]

MAX_TEST_FILES = 500
MAX_FILE = 4 << 20


@dataclass(frozen=True, slots=True)
class Design:
    """The design file, and what its rules say against it (warnings at most)."""

    product: Product
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class History:
    """The commits that touch the product's directory."""

    commits: int
    anonymous: int  # without the name or the address of author or committer
    people: int  # different committers
    uncommitted: int  # files of the product that no commit holds


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock file: how many packages it pins, and how many of them with a hash."""

    name: str
    packages: int
    hashed: int


def read_design(target: Target) -> Design:
    """The product's design file, through every rule of `limpet product check`."""
    directory = target.need(target.product_dir, "--product")
    path = directory / PRODUCT_FILE if directory.is_dir() else directory
    known = Context(
        statements=frozenset(one.id for one in load_statements()), today=target.now().date()
    )
    return Design(load_product(path, context=known), read_problems(path, context=known))


def read_history(target: Target) -> History:
    """Who changed the product, by its version control. Raises `Unavailable` if there is none."""
    directory = target.need(target.product_dir, "--product")
    commits = list_commits(directory, only_here=True)
    return History(
        commits=len(commits),
        anonymous=sum(1 for commit in commits if commit.is_anonymous),
        people=len({commit.committer[1] for commit in commits}),
        uncommitted=len(list_changes(directory, only_here=True)),
    )


def read_locks(target: Target) -> tuple[Lock, ...]:
    """The lock files (pip's requirement form) of the source tree that holds the product."""
    directory = target.need(target.product_dir, "--product").resolve()
    tree = _source_tree(directory)
    found = []
    for path in sorted([*tree.glob("locks/*.txt"), *tree.glob("*lock*.txt")]):
        text = read_bounded(path, max_bytes=MAX_FILE).decode("utf-8", "replace")
        found.append(parse_lock(path.name, text))
    if not found:
        raise Unavailable("the product's source tree holds no lock file")
    return tuple(found)


def parse_lock(name: str, text: str) -> Lock:
    """Count the pinned packages of a requirements file, and those with a SHA-256."""
    joined = text.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    hashed = sum(1 for line in lines if "==" in line and "--hash=sha256:" in line)
    return Lock(name, len(lines), hashed)


def read_tests(target: Target) -> int:
    """How many test functions the product's own directory holds."""
    directory = target.need(target.product_dir, "--product")
    count = 0
    for path in sorted(directory.rglob("test_*.py"))[:MAX_TEST_FILES]:
        try:
            tree = ast.parse(read_bounded(path, max_bytes=MAX_FILE))
        except (SyntaxError, ValueError, LimpetError):
            continue
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        nodes = (node for node in ast.walk(tree) if isinstance(node, functions))
        count += sum(1 for node in nodes if node.name.startswith("test_"))
    return count


def read_label_text(target: Target) -> str:
    """The readable text of the label's artwork (SVG), tags removed."""
    path = target.label_path or _find_label(target)
    data = read_bounded(path, max_bytes=MAX_FILE)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected("malformed", f"{path.name} is not text") from error
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def _find_label(target: Target) -> Path:
    """The label beside the device: the factory puts it into `labels/`."""
    directory = target.need(target.device_dir, "--label or --device").resolve()
    places = [directory.parent / "labels", directory / "labels", directory.parent]
    for place in places:
        for path in sorted(place.glob("*.svg")):
            if directory.name.lower() in path.name.lower():
                return path
    raise Unavailable("no label was found beside the device", hint="give --label FILE.svg")


def _source_tree(directory: Path) -> Path:
    for parent in (directory, *directory.parents):
        if (parent / ".git").exists() or (parent / "locks").is_dir():
            return parent
    return directory
