"""R2.2.4b: no unauthenticated client can change credentials."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all, failed, passed
from limpet.audit.instruments.device import try_fresh_operations, try_operations
from limpet.audit.instruments.http import ask, converse_as_owner
from limpet.audit.judgements.access import judge_refusals, only_paths
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


CREDENTIALS = "password|token|reset|claim|account|user"
CLAIM = {"code": "0000-0000-0000-0000", "name": "audit", "password": "correct horse audit staple"}


def run(target: Target) -> Finding:
    """Every operation on credentials without a valid token; then the owner's token still holds."""
    parts = [
        attempt("claimed", lambda: _judge_attempts(target)),
        attempt("a second claim", lambda: _judge_second_claim(target)),
    ]
    if target.token is not None and target.device_root_pem is not None:
        parts.append(attempt("afterwards", lambda: _judge_owner(target)))
    if target.fresh is not None:
        parts.append(attempt("as shipped", lambda: _judge_fresh(target)))
    return combine_all(*parts)


def _judge_attempts(target: Target) -> Finding:
    attempts = only_paths(target.observe(try_operations), CREDENTIALS)
    return judge_refusals(attempts, "used to change credentials")


def _judge_fresh(target: Target) -> Finding:
    attempts = only_paths(target.observe(try_fresh_operations), CREDENTIALS)
    return judge_refusals(attempts, "used to change credentials")


def _judge_second_claim(target: Target) -> Finding:
    status = ask(target, "POST", "/v1/claim", CLAIM).status
    if status < 400:
        return failed(f"a claimed device was claimed again: {status}")
    return passed(f"a second claim answered {status}")


def _judge_owner(target: Target) -> Finding:
    with converse_as_owner(target) as owner:
        status = owner.ask("GET", "/v1/update").status
    if status != 200:
        return failed(f"the owner's token is now answered {status}")
    return passed("the owner's token holds")


CHECK = Check(
    statement="R2.2.4b",
    section="2.2.4",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
)
