"""What a check declares about itself.

Owns the declaration; the catalogue owns finding them and the runner running them.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from limpet.audit.finding import Finding
from limpet.audit.target import Target

__all__ = ["CITATION", "Check", "Input", "Means", "Stage"]

CITATION = "draft-moore-iot-security-bcp-01"


class Means(enum.Enum):
    """How a statement is shown to hold (`proven` in the statements' data)."""

    NETWORK = "network"  # against the running device, over the network alone
    HOST = "host"  # on the device itself: processes, memory, files
    SERVICE = "service"  # against the vendor's running services and repository
    DOSSIER = "dossier"  # the design file, release record or documents


class Input(enum.Enum):
    """What a check cannot do without; the value is the option that gives it."""

    DEVICE = "device URL"
    TOKEN = "--token-file"  # noqa: S105
    FRESH = "--fresh"
    DEVICE_ROOT = "--device-root"
    DEVICE_DIR = "--device"
    PRODUCT = "--product"
    VENDOR_URL = "--vendor-url"
    VENDOR_DIR = "--vendor"

    def missing_from(self, target: Target) -> bool:
        """Whether the auditor did not give this."""
        given = {
            Input.DEVICE: target.device,
            Input.TOKEN: target.token,
            Input.FRESH: target.fresh,
            Input.DEVICE_ROOT: target.device_root_pem,
            Input.DEVICE_DIR: target.device_dir,
            Input.PRODUCT: target.product_dir,
            Input.VENDOR_URL: target.vendor,
            Input.VENDOR_DIR: target.vendor_dir,
        }
        return given[self] is None


class Stage(enum.IntEnum):
    """When a check runs, so that one does not spoil the next."""

    QUIET = 0  # side by side
    CHANGING = 1  # alone: changes something and puts it back
    GUESSING = 2  # alone: uses up the device's patience
    FLOODING = 3  # alone, last


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One statement's check: what it cites, how it looks, what it needs, and for how long."""

    statement: str
    section: str  # of the draft
    means: tuple[Means, ...]
    run: Callable[[Target], Finding]
    needs: tuple[Input, ...] = ()
    stage: Stage = Stage.QUIET
    seconds: float = 8.0  # bound on the whole check

    @property
    def citation(self) -> str:
        """The document and section that the statement is from."""
        return f"{CITATION}, section {self.section}"
