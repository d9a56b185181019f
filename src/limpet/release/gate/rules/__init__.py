"""The rules of the gate: one file each, one line here, one specimen product in the tests.

Owns the order in which they run and are shown.
"""

from limpet.release.gate._rule import Rule

from . import (
    advisories_tested,
    byte_code_matches,
    commits_signed,
    components_locked,
    crypto_standard,
    design_whole,
    interface_kept,
    interfaces_as_declared,
    sbom_matches,
    secrets_absent,
    source_committed,
    support_covers,
    tests_ran,
    tracker_named,
    vulnerabilities_addressed,
)

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    design_whole.RULE,
    source_committed.RULE,
    byte_code_matches.RULE,
    commits_signed.RULE,
    tracker_named.RULE,
    tests_ran.RULE,
    advisories_tested.RULE,
    components_locked.RULE,
    sbom_matches.RULE,
    vulnerabilities_addressed.RULE,
    interface_kept.RULE,
    interfaces_as_declared.RULE,
    secrets_absent.RULE,
    crypto_standard.RULE,
    support_covers.RULE,
)
