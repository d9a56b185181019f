"""R2.1b: credentials and keys are kept from disclosure."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.device import try_operations
from limpet.audit.instruments.host import read_open_files
from limpet.audit.instruments.http import ask
from limpet.audit.judgements.access import judge_disclosure
from limpet.audit.judgements.processes import judge_files
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


PUBLIC = ("/v1/identity", "/.well-known/security.txt", "/v1/openapi.json", "/.env", "/backup")


def run(target: Target) -> Finding:
    """All that a stranger is told, and the modes of the private files."""
    return combine_all(
        attempt("network", lambda: judge_disclosure(_told_to_strangers(target))),
        attempt("host", lambda: judge_files(*target.observe(read_open_files))),
    )


def _told_to_strangers(target: Target) -> list[tuple[str, bytes]]:
    told = [(path, ask(target, "GET", path).body) for path in PUBLIC]
    return told + [(str(one.operation), one.body) for one in target.observe(try_operations)]


CHECK = Check(
    statement="R2.1b",
    section="2.1",
    means=(
        Means.NETWORK,
        Means.HOST,
    ),
    run=run,
    needs=(Input.DEVICE,),
)
