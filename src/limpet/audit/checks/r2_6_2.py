"""R2.6.2: privileged code and data are apart from the rest."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.host import read_open_files
from limpet.audit.instruments.processes import read_processes
from limpet.audit.judgements.processes import judge_confinement, judge_files, judge_roles
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """What each process gave up, which touch the network, and who can read private files."""
    return combine_all(
        attempt("privileges", lambda: judge_confinement(target.observe(read_processes))),
        attempt("network", lambda: judge_roles(target.observe(read_processes))),
        attempt("files", lambda: judge_files(*target.observe(read_open_files))),
    )


CHECK = Check(
    statement="R2.6.2",
    section="2.6.2",
    means=(Means.HOST,),
    run=run,
    needs=(Input.DEVICE_DIR,),
)
