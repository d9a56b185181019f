"""R2.1d: the device is no vector of attack on other hosts."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.hostile import send_relay_requests, still_answers
from limpet.audit.instruments.processes import read_processes
from limpet.audit.instruments.sockets import probe_datagrams
from limpet.audit.judgements.attacks import judge_amplification, judge_ordeals
from limpet.audit.judgements.processes import judge_egress
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Datagrams (amplification), requests to relay, and where the device is connected to."""
    return combine_all(
        attempt("amplification", lambda: judge_amplification(target.observe(probe_datagrams))),
        attempt("relaying", lambda: _judge_relaying(target)),
        attempt("egress", lambda: _judge_egress(target)),
    )


def _judge_relaying(target: Target) -> Finding:
    ordeals = target.observe(send_relay_requests)
    return judge_ordeals(ordeals, answers_after=still_answers(target))


def _judge_egress(target: Target) -> Finding:
    vendor = target.need(target.vendor, "--vendor-url")
    return judge_egress(target.observe(read_processes), frozenset({vendor.peer}))


CHECK = Check(
    statement="R2.1d",
    section="2.1",
    means=(
        Means.NETWORK,
        Means.HOST,
    ),
    run=run,
    needs=(Input.DEVICE,),
)
