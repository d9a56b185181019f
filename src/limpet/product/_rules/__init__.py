"""What the parts of a design must say about each other.

Owns the rules: one function each, all in `RULES`. A rule sees the product and
what the caller knows (`Context`) and yields findings by path; it never stops
at the first. A rule whose knowledge was not given stays silent.
"""

from collections.abc import Callable, Iterable

from .._problem import Finding
from .._types import Product
from ._context import Context
from ._lifetime import (
    contact_is_current,
    development_names_its_signers,
    health_checks_fit,
    holds_are_ordered,
    intervals_are_irregular,
    support_is_current,
    windows_are_not_empty,
)
from ._references import (
    code_is_there,
    ids_are_unique,
    lists_are_not_empty,
    references_resolve,
    statements_are_known,
)
from ._surface import (
    a_button_is_an_interface,
    credentials_are_not_shared,
    datagrams_are_announced,
    open_doors_have_reasons,
    outbound_has_hosts,
    secrets_are_not_guessable,
    transports_fit,
)
from ._threats import (
    acceptances_are_reviewed,
    interfaces_have_threats,
    measures_are_used,
    measures_are_whole,
    threats_are_answered,
    threats_name_interfaces,
)

__all__ = ["RULES", "Context", "Rule", "findings_of"]

Rule = Callable[[Product, Context], Iterable[Finding]]

RULES: tuple[Rule, ...] = (
    ids_are_unique,
    lists_are_not_empty,
    references_resolve,
    statements_are_known,
    code_is_there,
    interfaces_have_threats,
    threats_name_interfaces,
    threats_are_answered,
    acceptances_are_reviewed,
    measures_are_whole,
    measures_are_used,
    transports_fit,
    a_button_is_an_interface,
    datagrams_are_announced,
    outbound_has_hosts,
    open_doors_have_reasons,
    secrets_are_not_guessable,
    credentials_are_not_shared,
    intervals_are_irregular,
    windows_are_not_empty,
    health_checks_fit,
    holds_are_ordered,
    support_is_current,
    contact_is_current,
    development_names_its_signers,
)
"""Every rule; the order is that of the findings before they are sorted by line."""


def findings_of(product: Product, context: Context) -> tuple[Finding, ...]:
    """All that `product` breaks, of all rules."""
    return tuple(finding for rule in RULES for finding in rule(product, context))
