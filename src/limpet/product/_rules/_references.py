"""Names and ids within a design file: unique, and pointing at something."""

from collections.abc import Collection, Iterator

from .._problem import Finding, Nearest, Path, quote
from .._types import Product
from ._context import Context

__all__ = [
    "code_is_there",
    "ids_are_unique",
    "lists_are_not_empty",
    "references_resolve",
    "statements_are_known",
]


def ids_are_unique(product: Product, _: Context) -> Iterator[Finding]:
    """Every id names one thing within its kind."""
    for kind in ("interfaces", "credentials", "threats", "measures"):
        seen: set[str] = set()
        for index, part in enumerate(getattr(product, kind)):
            if part.id in seen:
                yield Finding((kind, index, "id"), f"another of the {kind} has this id")
            seen.add(part.id)


def lists_are_not_empty(product: Product, _: Context) -> Iterator[Finding]:
    """What a design cannot do without is there at least once."""
    needed: tuple[tuple[Path, Collection[object]], ...] = (
        (("interfaces",), product.interfaces),
        (("model", "hardware_revisions"), product.model.hardware_revisions),
        (("security_contact", "contacts"), product.security_contact.contacts),
        (("security_contact", "languages"), product.security_contact.languages),
    )
    for path, entries in needed:
        if not entries:
            yield Finding(path, "needs at least one entry")


def references_resolve(product: Product, _: Context) -> Iterator[Finding]:
    """Every name of an interface or a measure is one that the file defines."""
    interfaces = tuple(interface.id for interface in product.interfaces)
    measures = tuple(measure.id for measure in product.measures)
    for index, threat in enumerate(product.threats):
        yield from _dangling(("threats", index), "interfaces", threat.interfaces, interfaces)
        yield from _dangling(("threats", index), "measures", threat.measures, measures)
    for index, credential in enumerate(product.credentials):
        at = ("credentials", index)
        yield from _dangling(at, "interfaces", credential.interfaces, interfaces)
        yield from _dangling(at, "measures", credential.measures, measures)


def statements_are_known(product: Product, context: Context) -> Iterator[Finding]:
    """Every statement id is one of the standard's."""
    if context.statements is None:
        return
    known = tuple(sorted(context.statements))
    for index, measure in enumerate(product.measures):
        at: Path = ("measures", index)
        yield from _unknown_statements((*at, "statements"), measure.statements, known)
        yield from _unknown_statements((*at, "checks"), measure.checks, known)
    for index, deviation in enumerate(product.decisions.deviations):
        if deviation.statement not in context.statements:
            place: Path = ("decisions", "deviations", index, "statement")
            yield _no_statement(place, deviation.statement, known)


def code_is_there(product: Product, context: Context) -> Iterator[Finding]:
    """Every pointer to code leads to a definition."""
    if context.code_fault is None:
        return
    for index, measure in enumerate(product.measures):
        for place, pointer in enumerate(measure.code):
            fault = context.code_fault(pointer)
            if fault:
                message = f"no code at {quote(pointer)}: {fault}"
                yield Finding(("measures", index, "code", place), message)


def _dangling(
    at: Path, key: str, names: tuple[str, ...], known: tuple[str, ...]
) -> Iterator[Finding]:
    for place, name in enumerate(names):
        if name not in known:
            kind = key.removesuffix("s")
            message = f"no {kind} named {quote(name)}"
            yield Finding((*at, key, place), message, Nearest(name, known))


def _unknown_statements(
    at: Path, ids: tuple[str, ...], known: tuple[str, ...]
) -> Iterator[Finding]:
    for place, statement in enumerate(ids):
        if statement not in known:
            yield _no_statement((*at, place), statement, known)


def _no_statement(at: Path, statement: str, known: tuple[str, ...]) -> Finding:
    hint = Nearest(statement, known, otherwise="limpet requirements lists the statements")
    return Finding(at, f"no statement {quote(statement)}", hint)
