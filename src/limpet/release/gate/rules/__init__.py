"""The rules of the gate: one file each, one line here, one specimen product in the tests.

Owns the order in which they run and are shown.
"""

from limpet.release.gate._rule import Rule

from . import crypto_standard, design_whole, secrets_absent, support_covers

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    design_whole.RULE,
    secrets_absent.RULE,
    crypto_standard.RULE,
    support_covers.RULE,
)
