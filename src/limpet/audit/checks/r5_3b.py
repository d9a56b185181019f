"""R5.3b: the device can be asked for model, hardware and firmware revision."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, failed
from limpet.audit.instruments.dossier import read_design
from limpet.audit.instruments.http import ask, converse_as_owner, read_json
from limpet.audit.judgements.documents import judge_identity
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


PATH = "/v1/identity"


def run(target: Target) -> Finding:
    """GET /v1/identity (docs/api.md), compared with the design; as the owner if need be (R5.3c)."""
    product = target.observe(read_design).product if target.product_dir is not None else None
    answer = ask(target, "GET", PATH)
    if answer.status in (401, 403):
        with converse_as_owner(target) as owner:
            answer = owner.ask("GET", PATH)
    if answer.status != 200:
        return failed(f"GET {PATH} answered {answer.status}")
    return judge_identity(read_json(answer, PATH), product)


CHECK = Check(
    statement="R5.3b",
    section="5.3",
    means=(
        Means.NETWORK,
        Means.DOSSIER,
    ),
    run=run,
    needs=(Input.DEVICE,),
)
