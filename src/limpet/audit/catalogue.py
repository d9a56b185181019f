"""Finds the checks: one module in `limpet.audit.checks` for each statement.

Owns the rule that module `r2_2_3a` holds the `CHECK` of statement R2.2.3a.
"""

import importlib
import pkgutil
import re

from limpet.audit import checks
from limpet.audit.check import Check
from limpet.errors import Misuse, Rejected

__all__ = ["load_checks", "module_name"]

_MODULE = re.compile(r"\Ar[0-9_]+[a-z]?\Z")


def module_name(statement: str) -> str:
    """The module of a statement's check: `R2.2.3a` is `r2_2_3a`."""
    return statement.lower().replace(".", "_")


def load_checks(only: tuple[str, ...] = ()) -> tuple[Check, ...]:
    """Every check in the order of the draft, or those of the statements in `only`.

    Raises `Rejected("unknown-statement")` for a name in `only` that has no check.
    """
    found: dict[str, Check] = {}
    for module in pkgutil.iter_modules(checks.__path__):
        if not _MODULE.match(module.name):
            continue
        check = importlib.import_module(f"{checks.__name__}.{module.name}").CHECK
        if module_name(check.statement) != module.name:
            raise Misuse(f"{module.name} declares the check of {check.statement}")
        found[check.statement] = check
    for name in only:
        if name not in found:
            raise Rejected(
                "unknown-statement",
                f"there is no statement {name!r}",
                hint="`limpet requirements` lists all of them",
            )
    chosen = [found[name] for name in set(only)] if only else list(found.values())
    return tuple(sorted(chosen, key=lambda check: _order(check.statement)))


def _order(statement: str) -> tuple[tuple[int, ...], str]:
    numbers = tuple(int(number) for number in re.findall(r"[0-9]+", statement))
    return numbers, statement[-1]
