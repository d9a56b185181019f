"""The rules of the gate: one file each, one line here, one specimen product in the tests.

Owns the order in which they run and are shown.
"""

from limpet.release.gate._rule import Rule

from . import design_whole, support_covers

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    design_whole.RULE,
    support_covers.RULE,
)
