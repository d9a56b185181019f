"""R2.1d: the device is no vector of attack on other hosts."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.dossier import read_design
from limpet.audit.instruments.hostile import send_relay_requests, still_answers
from limpet.audit.instruments.processes import read_processes
from limpet.audit.instruments.service import read_pages
from limpet.audit.instruments.sockets import probe_datagrams
from limpet.audit.judgements.attacks import judge_amplification, judge_ordeals
from limpet.audit.judgements.documents import judge_published_policy
from limpet.audit.judgements.processes import judge_egress
from limpet.audit.target import Target
from limpet.product import ANNOUNCEMENT_PORT, announces

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Datagrams (amplification), requests to relay, where the device is connected to.

    Where the design is at hand, the policy that the vendor publishes for networks, too.
    """
    published = []
    if target.product_dir is not None and target.vendor is not None:
        published.append(attempt("published policy", lambda: _judge_published(target)))
    return combine_all(
        attempt("amplification", lambda: _judge_datagrams(target)),
        attempt("relaying", lambda: _judge_relaying(target)),
        attempt("egress", lambda: _judge_egress(target)),
        *published,
    )


def _judge_datagrams(target: Target) -> Finding:
    announced: frozenset[int] = frozenset()
    if target.product_dir is not None and announces(target.observe(read_design).product):
        announced = frozenset({ANNOUNCEMENT_PORT})
    return judge_amplification(target.observe(probe_datagrams), announced=announced)


def _judge_relaying(target: Target) -> Finding:
    ordeals = target.observe(send_relay_requests)
    return judge_ordeals(ordeals, answers_after=still_answers(target))


def _judge_egress(target: Target) -> Finding:
    vendor = target.need(target.vendor, "--vendor-url")
    return judge_egress(target.observe(read_processes), frozenset({vendor.peer}))


def _judge_published(target: Target) -> Finding:
    product = target.observe(read_design).product
    return judge_published_policy(target.observe(read_pages)["mud"], product, target.now())


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
