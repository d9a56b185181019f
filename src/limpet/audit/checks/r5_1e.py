"""R5.1e: new features that change interfaces are optional and off by default."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, not_applicable
from limpet.audit.instruments.gate import read_word
from limpet.audit.instruments.repository import read_repository
from limpet.audit.judgements.gate import judge_rule
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """A permission: used where a release has another interface version."""
    releases = target.observe(read_repository).releases
    versions = {one.interface_version for one in releases}
    if len(versions) < 2:
        return not_applicable(f"none of {len(releases)} releases changes the interface")
    return judge_rule(target.observe(read_word), "interface-kept")


CHECK = Check(
    statement="R5.1e",
    section="5.1",
    means=(
        Means.NETWORK,
        Means.DOSSIER,
    ),
    run=run,
)
