"""Threats, the measures against them, and what is knowingly left (draft-moore, 2.1.1)."""

from collections.abc import Iterator
from datetime import date

from .._problem import Finding, Severity
from .._types import Acceptance, Product
from ._context import Context

__all__ = [
    "acceptances_are_reviewed",
    "interfaces_have_threats",
    "measures_are_used",
    "measures_are_whole",
    "threats_are_answered",
    "threats_name_interfaces",
]


def interfaces_have_threats(product: Product, _: Context) -> Iterator[Finding]:
    """Every interface was thought about by an attacker's eye."""
    threatened = {name for threat in product.threats for name in threat.interfaces}
    for index, interface in enumerate(product.interfaces):
        if interface.id not in threatened:
            hint = "write the [[threats]] that come through it"
            yield Finding(("interfaces", index), "no threat names this interface", hint)


def threats_name_interfaces(product: Product, _: Context) -> Iterator[Finding]:
    """Every threat says through which interfaces it comes."""
    for index, threat in enumerate(product.threats):
        if not threat.interfaces:
            yield Finding(("threats", index, "interfaces"), "comes through no interface")


def threats_are_answered(product: Product, _: Context) -> Iterator[Finding]:
    """Every threat has a measure against it, or is accepted by someone."""
    for index, threat in enumerate(product.threats):
        if not threat.measures and threat.acceptance is None:
            hint = "name its measures, or write [threats.acceptance] with owner and review_by"
            yield Finding(
                ("threats", index, "measures"), "has neither measure nor acceptance", hint
            )


def acceptances_are_reviewed(product: Product, context: Context) -> Iterator[Finding]:
    """No acceptance is past the date at which its owner promised to look again."""
    for index, threat in enumerate(product.threats):
        if threat.acceptance is not None and _overdue(threat.acceptance, context.today):
            message = f"the review was due on {threat.acceptance.review_by.isoformat()}"
            hint = f"the {threat.acceptance.owner} decides anew and sets the next date"
            yield Finding(("threats", index, "acceptance", "review_by"), message, hint)


def measures_are_whole(product: Product, _: Context) -> Iterator[Finding]:
    """Every measure serves a statement, is done by code and is attacked by a check."""
    for index, measure in enumerate(product.measures):
        if not measure.statements:
            yield Finding(("measures", index, "statements"), "serves no statement")
        if not measure.code:
            yield Finding(("measures", index, "code"), "no code implements it")
        if not measure.checks:
            yield Finding(("measures", index, "checks"), "no audit check attacks it")


def measures_are_used(product: Product, _: Context) -> Iterator[Finding]:
    """A measure that no threat and no credential names is noted, not refused."""
    used = {name for threat in product.threats for name in threat.measures}
    used |= {name for credential in product.credentials for name in credential.measures}
    for index, measure in enumerate(product.measures):
        if measure.id not in used:
            yield Finding(
                ("measures", index),
                "no threat and no credential names this measure",
                severity=Severity.WARNING,
            )


def _overdue(acceptance: Acceptance, today: date | None) -> bool:
    return today is not None and acceptance.review_by < today
