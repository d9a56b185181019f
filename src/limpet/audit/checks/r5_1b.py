"""R5.1b: what follows the support period is public before selling."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.device import read_identity
from limpet.audit.instruments.dossier import read_design
from limpet.audit.instruments.repository import read_repository
from limpet.audit.instruments.service import read_pages
from limpet.audit.judgements.documents import judge_support, judge_support_page
from limpet.audit.target import Target
from limpet.wire.support import SupportStatement

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The public support page, and what the device tells anybody who asks."""
    return combine_all(
        attempt("page", lambda: _judge_page(target)),
        attempt("device", lambda: _judge_device(target)),
    )


def _judge_page(target: Target) -> Finding:
    page = target.observe(read_pages).get("support")
    product = target.observe(read_design).product
    return judge_support_page(page, product, _read_signed(target), "after")


def _judge_device(target: Target) -> Finding:
    product = target.observe(read_design).product
    return judge_support(target.observe(read_identity), product, _read_signed(target), "after")


def _read_signed(target: Target) -> tuple[SupportStatement, ...]:
    """The statements in the repository, where the auditor may look there."""
    return target.observe(read_repository).support if target.vendor is not None else ()


CHECK = Check(
    statement="R5.1b",
    section="5.1",
    means=(
        Means.SERVICE,
        Means.NETWORK,
        Means.DOSSIER,
    ),
    run=run,
    needs=(Input.PRODUCT,),
)
