"""What the gate's word on the newest release shows."""

from limpet.audit.finding import Finding, failed, not_yet, passed
from limpet.audit.instruments.gate import Word

__all__ = ["judge_rule"]


def judge_rule(word: Word, rule: str) -> Finding:
    """Pass if the gate let the release pass, and looked at `rule`."""
    if not word.passed:
        named = ", ".join(word.failed[:4])
        return failed(f"{word.version} is published though the gate refused it: {named}")
    if rule not in word.evidence:
        return not_yet(f"the gate that judged {word.version} had no rule {rule}")
    said = word.evidence[rule] or "no more was said"
    by = "by the gate's key" if word.key_was_known else "named by the release keys"
    when = f"{word.judged_at:%Y-%m-%d}"
    return passed(f"{rule} passed for {word.version} on {when} ({by}): {said}")
