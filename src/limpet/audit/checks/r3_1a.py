"""R3.1a: the product has random numbers of cryptographic quality."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.dossier import read_design
from limpet.audit.instruments.host import read_kernel_randomness
from limpet.audit.instruments.tls import survey_device
from limpet.audit.judgements.devices import judge_entropy
from limpet.audit.judgements.processes import judge_randomness
from limpet.audit.judgements.tls import judge_randoms
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The kernel's generator, random values that the device sent, and the design's credentials."""
    return combine_all(
        attempt("host", lambda: judge_randomness(target.observe(read_kernel_randomness))),
        attempt("network", lambda: judge_randoms(target.observe(survey_device).randoms)),
        attempt("design", lambda: judge_entropy(target.observe(read_design).product)),
    )


CHECK = Check(
    statement="R3.1a",
    section="3.1",
    means=(
        Means.HOST,
        Means.DOSSIER,
    ),
    run=run,
    needs=(Input.DEVICE_DIR,),
)
