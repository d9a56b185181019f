"""R2.1.4: algorithms can be chosen or negotiated."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.host import read_device_log
from limpet.audit.instruments.repository import read_repository
from limpet.audit.instruments.tls import survey_device, survey_vendor
from limpet.audit.judgements.tls import judge_agility
from limpet.audit.judgements.updates import judge_suite_in_force, judge_suites
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Each cipher suite and group offered alone, to device and service; releases' suites."""
    parts = [attempt("device", lambda: judge_agility(target.observe(survey_device)))]
    if target.device_dir is not None:
        parts.append(
            attempt("suite", lambda: judge_suite_in_force(target.observe(read_device_log)))
        )
    if target.vendor is not None:
        parts += [
            attempt("service", lambda: judge_agility(target.observe(survey_vendor))),
            attempt("firmware", lambda: judge_suites(target.observe(read_repository))),
        ]
    return combine_all(*parts)


CHECK = Check(
    statement="R2.1.4",
    section="2.1.4",
    means=(
        Means.NETWORK,
        Means.SERVICE,
    ),
    run=run,
    needs=(Input.DEVICE,),
)
