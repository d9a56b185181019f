"""From the bytes of `product.toml` to a `Product`, or to every problem at once.

Owns the order of the reading: size, UTF-8, nesting, TOML, shape, rules. Each
step needs the one before; within a step all problems are collected. Every
library error ends here as a problem with a line. It reads one file and nothing
else, and it never looks at a clock: what a rule must know comes in a `Context`.
"""

import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import Any

from limpet.errors import Rejected, Unavailable
from limpet.storage import read_bounded

from ._locator import Locations, TooDeep, locate
from ._placeholders import placeholders_of
from ._problem import Finding, Problem, Severity, show_key
from ._rules import Context, findings_of
from ._shape import build
from ._types import Product

__all__ = [
    "MAX_PROBLEMS",
    "MAX_PRODUCT_BYTES",
    "PRODUCT_FILE",
    "UNINFORMED",
    "examine_product",
    "load_product",
    "read_notes",
    "read_problems",
]

PRODUCT_FILE = "product.toml"
MAX_PRODUCT_BYTES = 256 << 10
MAX_PROBLEMS = 50
"""Problems that are reported of one file; a file with more is not worth listing."""

UNINFORMED = Context()
"""Judge nothing that needs knowledge from outside the file."""

_TOO_LARGE = Problem(
    1,
    "",
    f"larger than {MAX_PRODUCT_BYTES >> 10} KiB",
    "a design file is written by hand; keep data elsewhere",
)
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")


def load_product(path: FilePath, *, context: Context = UNINFORMED) -> Product:
    """The product that the file `path` describes; it met every rule that `context` can judge.

    The default judges no id, date or code pointer: a device does not carry the
    statements, and must never stop because a date in its file has passed.
    Raises `Unavailable` if the file cannot be read, and `Rejected("product-file")`
    whose message holds one line `file:line: key: what is wrong` for each problem.
    """
    product, problems = examine_product(_read(path), context=context)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if product is None or errors:
        lines = "\n".join(problem.text(str(path)) for problem in errors)
        raise Rejected("product-file", lines, hint=errors[0].hint if len(errors) == 1 else "")
    return product


def read_problems(path: FilePath, *, context: Context = UNINFORMED) -> tuple[Problem, ...]:
    """All problems of the file `path`, warnings included, in the order of their lines.

    Parameters as for `load_product`. Raises `Unavailable` if the file cannot be read.
    """
    try:
        data = _read(path)
    except Rejected:
        return (_TOO_LARGE,)
    return examine_product(data, context=context)[1]


def read_notes(path: FilePath) -> tuple[Problem, ...]:
    """What of the file `path` stops nothing now, and would fail a customer: names that nobody owns.

    None for a file without a shape, of which `read_problems` says all. Raises `Unavailable` if the
    file cannot be read, `Rejected` if it is too large.
    """
    parsed = _parse(_read(path))
    if isinstance(parsed, Problem):
        return ()
    tree, locations = parsed
    built = build(tree, Product)
    return () if isinstance(built, tuple) else _placed(placeholders_of(built), tree, locations)


def examine_product(
    data: bytes, *, context: Context = UNINFORMED
) -> tuple[Product | None, tuple[Problem, ...]]:
    """The pure part: the product in `data` (None if it has no shape) and its problems.

    A product that comes with a problem of severity `error` must not be used.
    """
    if len(data) > MAX_PRODUCT_BYTES:
        return None, (_TOO_LARGE,)
    parsed = _parse(data)
    if isinstance(parsed, Problem):
        return None, (parsed,)
    tree, locations = parsed
    built = build(tree, Product)
    if isinstance(built, tuple):
        return None, _placed(built, tree, locations)
    return built, _placed(findings_of(built, context), tree, locations)


def _read(path: FilePath) -> bytes:
    # os.path, unlike Path, answers False where it may not look; the open then says why.
    if os.path.exists(path) and not os.path.isfile(path):
        raise Unavailable(f"cannot read {path}: not a file", hint="give the product.toml itself")
    try:
        return read_bounded(path, max_bytes=MAX_PRODUCT_BYTES)
    except Rejected as error:
        text = _TOO_LARGE.text(str(path))
        raise Rejected("product-file", text, hint=_TOO_LARGE.hint) from error


def _parse(data: bytes) -> tuple[dict[str, Any], Locations] | Problem:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return Problem(data.count(b"\n", 0, error.start) + 1, "", "not UTF-8 text")
    try:
        # The order matters: locate() bounds the nesting for the parser after it.
        locations = locate(text)
        return tomllib.loads(text), locations
    except TooDeep as error:
        return Problem(error.line, "", "tables nested too deep")
    except tomllib.TOMLDecodeError as error:
        return _syntax_problem(str(error), text)
    except (ValueError, RecursionError):
        # Seen: a whole number with more digits than Python converts.
        return Problem(1, "", "holds a value that cannot be read")


def _syntax_problem(message: str, text: str) -> Problem:
    place = _TOML_PLACE.search(message)
    last = text.count("\n", 0, len(text.rstrip())) + 1
    line = int(place.group(1)) if place and place.group(1) else last
    detail = _TOML_PLACE.sub("", message)
    shown = detail.encode("ascii", "backslashreplace").decode()[:120]
    return Problem(line, "", f"not TOML: {shown[:1].lower()}{shown[1:]}")


def _placed(
    findings: Iterable[Finding], tree: dict[str, Any], locations: Locations
) -> tuple[Problem, ...]:
    ordered = sorted(findings, key=lambda finding: locations.line_of(finding.path))
    problems = [
        Problem(
            locations.line_of(finding.path),
            show_key(tree, finding.path),
            finding.message,
            finding.hint if isinstance(finding.hint, str) else finding.hint.text(),
            finding.severity,
        )
        for finding in ordered[:MAX_PROBLEMS]
    ]
    if len(ordered) > MAX_PROBLEMS:
        message = f"and {len(ordered) - MAX_PROBLEMS} more problems"
        problems.append(Problem(problems[-1].line, "", message))
    return tuple(problems)
