"""R2.1.3: standard protocols serve for security functions."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all, passed
from limpet.audit.instruments.device import try_operations
from limpet.audit.instruments.repository import read_repository
from limpet.audit.instruments.service import read_enrollment_roots
from limpet.audit.instruments.tls import survey_device
from limpet.audit.judgements.access import judge_challenge
from limpet.audit.judgements.tls import judge_encryption
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """TLS (RFC 8446) and Bearer (RFC 6750) on the device; EST (RFC 7030) and TUF at the vendor."""
    parts = [
        attempt("device", lambda: judge_encryption(target.observe(survey_device))),
        attempt("tokens", lambda: judge_challenge(target.observe(try_operations))),
    ]
    if target.vendor is not None:
        parts += [
            attempt("enrollment", lambda: _judge_enrollment(target)),
            attempt("updates", lambda: _judge_updates(target)),
        ]
    return combine_all(*parts)


def _judge_enrollment(target: Target) -> Finding:
    roots = target.observe(read_enrollment_roots)
    return passed(f"EST gives {len(roots)} certificates as PKCS#7 (RFC 7030, 4.1)")


def _judge_updates(target: Target) -> Finding:
    version = target.observe(read_repository).spec_version
    return passed(f"metadata of The Update Framework {version} verified")


CHECK = Check(
    statement="R2.1.3",
    section="2.1.3",
    means=(
        Means.NETWORK,
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
    needs=(Input.DEVICE,),
)
