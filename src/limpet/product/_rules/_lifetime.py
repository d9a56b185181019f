"""What the vendor promises over the years: updates, support, a contact."""

from collections.abc import Iterator

from .._problem import Finding, Severity, quote
from .._types import Product
from ._context import Context

__all__ = [
    "MAX_HEALTH_FUNCTIONS",
    "contact_is_current",
    "development_names_its_signers",
    "health_checks_fit",
    "holds_are_ordered",
    "intervals_are_irregular",
    "support_is_current",
    "windows_are_not_empty",
]


MAX_HEALTH_FUNCTIONS = 8
HEALTH_ROUNDS = 3
"""Rounds of a health check that must fit in the deadline, however slowly each function answers."""


def intervals_are_irregular(product: Product, _: Context) -> Iterator[Finding]:
    """The bounds enclose the base and leave room between them (draft-moore, 2.4.1)."""
    update = product.update
    low, high = update.check_interval_min_seconds, update.check_interval_max_seconds
    if not low <= update.check_interval_seconds <= high:
        message = f"not between its bounds {low} and {high}"
        yield Finding(("update", "check_interval_seconds"), message)
    if low >= high:
        message = "the bounds leave no room: checks would come at regular intervals"
        yield Finding(("update", "check_interval_max_seconds"), message)


def health_checks_fit(product: Product, context: Context) -> Iterator[Finding]:
    """A health check names each function once, has time for all, and asks for what can be read."""
    health, at = product.update.health, ("update", "health", "functions")
    count, seconds = len(health.functions), health.answer_seconds
    if count > MAX_HEALTH_FUNCTIONS:
        yield Finding(at, f"more than {MAX_HEALTH_FUNCTIONS} functions")
    elif HEALTH_ROUNDS * count * seconds > product.update.health_deadline_seconds:
        message = f"{count} functions of {seconds} s do not fit {HEALTH_ROUNDS} times"
        hint = "name fewer functions, shorten answer_seconds or lengthen the deadline"
        yield Finding(at, f"{message} in health_deadline_seconds", hint)
    for place, name in enumerate(health.functions):
        if name in health.functions[:place]:
            yield Finding((*at, place), f"{quote(name)} is named twice")
        elif context.reading_fault is not None and (fault := context.reading_fault(name)):
            yield Finding((*at, place), f"{quote(name)} {fault}")


def holds_are_ordered(product: Product, _: Context) -> Iterator[Finding]:
    """A fix of a hole is not held back longer than anything else."""
    update = product.update
    if (update.max_security_hold_days or 0) > update.max_hold_days:
        message = f"longer than max_hold_days, which is {update.max_hold_days}"
        yield Finding(("update", "max_security_hold_days"), message)


def windows_are_not_empty(product: Product, _: Context) -> Iterator[Finding]:
    """A window that starts when it ends would never open."""
    window = product.update.default_window
    if window is not None and window.start == window.end:
        yield Finding(("update", "default_window", "end"), "the window never opens")


def support_is_current(product: Product, context: Context) -> Iterator[Finding]:
    """A support period that is over is noted: the product may still be described."""
    until = product.support.until
    if context.today is not None and until < context.today:
        message = f"support ended on {until.isoformat()}"
        hint = "a product past its support must not be sold as supported"
        yield Finding(("support", "until"), message, hint, Severity.WARNING)


def contact_is_current(product: Product, context: Context) -> Iterator[Finding]:
    """A security contact past its date is stale (RFC 9116 section 2.5.5)."""
    expires = product.security_contact.expires
    if context.today is not None and expires <= context.today:
        message = f"the contact expired on {expires.isoformat()}"
        hint = "see that the addresses are still read, then set the next date"
        yield Finding(("security_contact", "expires"), message, hint)


def development_names_its_signers(product: Product, _: Context) -> Iterator[Finding]:
    """Signatures of commits can only be verified against keys that are named."""
    development = product.development
    if development is None or not development.signed_commits:
        return
    if development.allowed_signers is None:
        message = "nobody is named who may sign"
        hint = 'keep their public keys in a file: allowed_signers = "allowed-signers"'
        yield Finding(("development", "signed_commits"), message, hint)
