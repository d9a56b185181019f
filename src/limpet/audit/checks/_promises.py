"""What two checks ask of the public: is a part of the support commitment told before selling?"""

from typing import Literal

from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.device import read_identity
from limpet.audit.instruments.dossier import read_design
from limpet.audit.instruments.repository import read_repository
from limpet.audit.instruments.service import read_pages
from limpet.audit.judgements.documents import judge_support, judge_support_page
from limpet.audit.target import Target
from limpet.wire.support import SupportStatement

__all__ = ["find_promise"]


def find_promise(target: Target, part: Literal["until", "after"]) -> Finding:
    """Whether the public support page, and the device to anybody who asks, say `part` as the design
    file and the signed statements do."""

    def read_signed() -> tuple[SupportStatement, ...]:
        return target.observe(read_repository).support if target.vendor is not None else ()

    def judge_page() -> Finding:
        page, design = target.observe(read_pages).get("support"), target.observe(read_design)
        return judge_support_page(page, design.product, read_signed(), part)

    def judge_device() -> Finding:
        identity, design = target.observe(read_identity), target.observe(read_design)
        return judge_support(identity, design.product, read_signed(), part)

    return combine_all(attempt("page", judge_page), attempt("device", judge_device))
