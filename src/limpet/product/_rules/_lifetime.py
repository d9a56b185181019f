"""What the vendor promises over the years: updates, support, a contact."""

from collections.abc import Iterator

from .._problem import Finding, Severity
from .._types import Product
from ._context import Context

__all__ = [
    "contact_is_current",
    "intervals_are_irregular",
    "support_is_current",
    "windows_are_not_empty",
]


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
