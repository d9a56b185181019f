"""R2.5a: each device has its own private key, signed where needed."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.checks._trust import judge_device
from limpet.audit.finding import Finding, attempt, combine_all, combine_any
from limpet.audit.instruments.devices import show_devices
from limpet.audit.instruments.service import read_factory
from limpet.audit.judgements.devices import judge_factory
from limpet.audit.judgements.tls import judge_unique_keys
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The keys that several devices show, the chain to the vendor's root, the factory's record."""
    parts = [attempt("signed", lambda: judge_device(target))]
    unique = combine_any(
        attempt("devices", lambda: judge_unique_keys(target.observe(show_devices))),
        attempt("factory", lambda: judge_factory(target.observe(read_factory))),
    )
    return combine_all(unique, *parts)


CHECK = Check(
    statement="R2.5a",
    section="2.5",
    means=(
        Means.NETWORK,
        Means.SERVICE,
    ),
    run=run,
    needs=(
        Input.DEVICE,
        Input.DEVICE_ROOT,
    ),
)
