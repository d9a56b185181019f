"""R2.1c: information received, sent or stored is kept from unauthorized parties."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.device import try_operations
from limpet.audit.instruments.host import read_open_files
from limpet.audit.instruments.tls import speak_plainly_to_device, survey_device
from limpet.audit.judgements.access import judge_refusals, only_paths
from limpet.audit.judgements.processes import judge_files
from limpet.audit.judgements.tls import judge_encryption, judge_plain_text
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Sent: encrypted only; asked for: refused to strangers; stored: private files."""
    return combine_all(
        attempt("sent", lambda: judge_encryption(target.observe(survey_device))),
        attempt("in plain text", lambda: _judge_plain_text(target)),
        attempt("asked for", lambda: _judge_readings(target)),
        attempt("stored", lambda: judge_files(*target.observe(read_open_files))),
    )


def _judge_plain_text(target: Target) -> Finding:
    return judge_plain_text(target.observe(speak_plainly_to_device))


def _judge_readings(target: Target) -> Finding:
    return judge_refusals(only_paths(target.observe(try_operations), "^GET "), "read")


CHECK = Check(
    statement="R2.1c",
    section="2.1",
    means=(
        Means.NETWORK,
        Means.HOST,
    ),
    run=run,
    needs=(Input.DEVICE,),
)
