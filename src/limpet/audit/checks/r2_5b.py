"""R2.5b: private keys are made on the device and never leave it."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.devices import read_device_keys
from limpet.audit.instruments.service import read_vendor_keys
from limpet.audit.judgements.devices import judge_key_places
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The device's keys are below its own directory, and nowhere in the vendor's."""
    return judge_key_places(
        target.observe(read_device_keys),
        frozenset(target.observe(read_vendor_keys)),
    )


CHECK = Check(
    statement="R2.5b",
    section="2.5",
    means=(
        Means.SERVICE,
        Means.HOST,
    ),
    run=run,
    needs=(
        Input.DEVICE_DIR,
        Input.VENDOR_DIR,
    ),
)
