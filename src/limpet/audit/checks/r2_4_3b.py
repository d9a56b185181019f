"""R2.4.3b: updates that change more are never started automatically."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, attested, not_applicable
from limpet.audit.instruments.repository import read_repository
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """A permission: used where a release has another interface version."""
    releases = target.observe(read_repository).releases
    versions = {one.interface_version for one in releases}
    if len(versions) < 2:
        return not_applicable(f"none of {len(releases)} releases changes the interface")
    return attested(f"{len(versions)} interface versions, declared so that devices hold them")


CHECK = Check(
    statement="R2.4.3b",
    section="2.4.3",
    means=(
        Means.NETWORK,
        Means.SERVICE,
    ),
    run=run,
)
