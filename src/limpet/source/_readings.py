"""Which functions of an app can be read without an argument, found in its source.

Owns the look. It runs nothing of the product: a design file is judged where its app's packages
need not be installed. The app itself judges once more, when it is asked for its health.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["reading_finder"]

MAX_SOURCE_BYTES = 1 << 20


def reading_finder(directory: Path) -> Callable[[str], str]:
    """A function that says why nobody can read the app's function of a name, or ""."""
    found: dict[str, ast.FunctionDef] = {}
    for file in sorted((directory / "app").rglob("*.py")):
        found.update((function.name, function) for function in _declared(file))

    def fault(name: str) -> str:
        if name not in found:
            return "is no function that the app declares"
        function = found[name]
        if "reading" not in _decorators(function):
            return "is an action: a health check only reads"
        given = function.args
        needed = len(given.posonlyargs) + len(given.args) - len(given.defaults) - 1
        if needed > 0 or any(default is None for default in given.kw_defaults):
            return "needs an argument"
        return ""

    return fault


def _declared(file: Path) -> Iterator[ast.FunctionDef]:
    """The functions of `file` that an app declares; none of a file that is no Python."""
    try:
        if file.stat().st_size > MAX_SOURCE_BYTES:
            return
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return  # the tests of the product and the build say so
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and _decorators(node) & {"reading", "action"}:
            yield node


def _decorators(function: ast.FunctionDef) -> set[str]:
    """The names of the methods that decorate `function` with arguments, as `@app.reading(…)`."""
    calls = [each.func for each in function.decorator_list if isinstance(each, ast.Call)]
    return {each.attr for each in calls if isinstance(each, ast.Attribute)}
