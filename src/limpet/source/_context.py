"""What the rules of a design file ask of the world: statements, the date, the code there is."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from limpet.errors import Rejected
from limpet.product import Context
from limpet.requirements import PointerKind, find_source_tree, load_statements, resolve_pointer

from ._readings import reading_finder

__all__ = ["design_context"]


def design_context(directory: Path, *, today: date) -> Context:
    """All knowledge that the rules of `directory`'s design file can use, as of `today`."""
    return Context(
        statements=frozenset(statement.id for statement in load_statements()),
        today=today,
        code_fault=_code_finder(directory),
        reading_fault=reading_finder(directory),
    )


def _code_finder(directory: Path) -> Callable[[str], str]:
    """Look for limpet's code in the source tree (if there is one), the app's below `app/`."""
    tree = find_source_tree()

    def fault(pointer: str) -> str:
        module, _, name = pointer.partition(":")
        if module.split(".")[0] == "limpet":
            return "" if tree is None else _fault(tree, pointer)
        plain = "/".join(("app", *module.split(".")))
        as_package = _fault(directory, f"{plain}/__init__.py:{name}")
        return as_package and _fault(directory, f"{plain}.py:{name}")

    return fault


def _fault(root: Path, pointer: str) -> str:
    try:
        resolve_pointer(root, PointerKind.CODE, pointer)
    except Rejected as error:
        return error.message.removeprefix(f"{PointerKind.CODE} {pointer}: ")
    return ""
