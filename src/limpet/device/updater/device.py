"""What the updater reads once when it starts: the firmware it runs from, and the device.

Owns the loading and the names of the updater's own files. Decides nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from limpet.crypto.attesting import PublicKey, public_keys_from_pem
from limpet.crypto.suites import CURRENT
from limpet.device.link.identity import DeviceIdentity, load_identity
from limpet.device.link.start import Start
from limpet.errors import Rejected
from limpet.firmware.description import FirmwareDescription, load_description
from limpet.firmware.devices import SlotDevices, load_devices
from limpet.firmware.interface import INTERFACE_BYTES, INTERFACE_FILE
from limpet.firmware.slots import SlotName
from limpet.product import PRODUCT_FILE, Product, load_product
from limpet.storage import read_bounded
from limpet.wire.attestation import GATE_KEYS_FILE

__all__ = ["Device", "Places", "load_device"]

_TRUST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Places:
    """The files that the updater writes; nobody else does."""

    own: Path  # DEVICE/updater
    staging: Path  # where a finished tree waits for the supervisor

    @property
    def policy(self) -> Path:
        """The owner's choice; a factory reset erases this directory and no other of these."""
        return self.own / "settings" / "policy.json"

    @property
    def postponed(self) -> Path:
        """The owner's word to hold updates back; erased with the policy."""
        return self.own / "settings" / "postponed.json"

    @property
    def support(self) -> Path:
        """The newest signed word on the support period."""
        return self.own / "support.json"

    @property
    def rest(self) -> Path:
        """What a process leaves to the next one while the updater rests."""
        return self.own / "rest.json"

    @property
    def floor(self) -> Path:
        """What was seen and is never gone behind."""
        return self.own / "floor.json"

    @property
    def targets(self) -> Path:
        """Plan, manifest and support statement as they were last verified."""
        return self.own / "targets"

    @property
    def progress(self) -> Path:
        """What was under way."""
        return self.own / "progress.json"

    @property
    def journal(self) -> Path:
        """The groups of an image that are written."""
        return self.own / "install.json"

    @property
    def transfers(self) -> Path:
        """What transfers have used."""
        return self.own / "transfers.json"

    @property
    def delta(self) -> Path:
        """How often a delta failed."""
        return self.own / "delta.json"

    @property
    def reports(self) -> Path:
        """The queue."""
        return self.own / "reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The device as its firmware and its factory describe it."""

    identity: DeviceIdentity
    description: FirmwareDescription
    product: Product
    slot: SlotName
    slot_path: Path
    places: Places
    devices: SlotDevices | None = None  # None: the slots are directories
    trusted_root: bytes  # root.json of the firmware (TUF)
    gate_keys: tuple[PublicKey, ...] = ()  # whose word on a release it asks for; none: nobody's
    service_roots: bytes  # PEM; who may be the vendor's server
    interface: bytes = b""  # OpenAPI document of the firmware; empty where it has none


def load_device(start: Start) -> Device:
    """Read everything. Raises `Unavailable` or `Rejected`; then the role must not serve."""
    slot = start.slot_path
    identity, description = load_identity(start.root), load_description(slot)
    if identity.model != description.model:
        raise Rejected(
            "wrong-model", f"this {identity.model} runs firmware for {description.model}"
        )
    if description.suite != CURRENT.id:
        raise Rejected(
            "bad-suite", f"this firmware says {description.suite} and carries {CURRENT.id}"
        )
    return Device(
        identity=identity,
        description=description,
        product=load_product(slot / PRODUCT_FILE),
        slot=start.slot,
        devices=load_devices(start.root),
        slot_path=slot,
        places=Places(own=start.private, staging=start.staging),
        trusted_root=read_bounded(slot / "trust" / "root.json", max_bytes=_TRUST_BYTES),
        service_roots=read_bounded(slot / "trust" / "service-root.pem", max_bytes=_TRUST_BYTES),
        gate_keys=_load_gate_keys(slot / "trust" / GATE_KEYS_FILE),
        interface=_load_interface(slot / INTERFACE_FILE),
    )


def _load_gate_keys(file: Path) -> tuple[PublicKey, ...]:
    """Of the firmware, which boot has verified with its tree; none where it has none."""
    if not file.is_file():
        return ()
    return public_keys_from_pem(read_bounded(file, max_bytes=_TRUST_BYTES))


def _load_interface(file: Path) -> bytes:
    """The firmware's own description, which boot has verified with its tree; empty without one."""
    return read_bounded(file, max_bytes=INTERFACE_BYTES) if file.is_file() else b""
