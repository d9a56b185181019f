"""What the decision about a release needs to know of this device, from its records. Pure."""

from limpet.device.link import messages as m
from limpet.device.updater.device import Device
from limpet.device.updater.floor import Floor
from limpet.device.updater.progress import Progress, failed_manifests
from limpet.firmware.decision import DeviceFacts

__all__ = ["device_facts"]


def device_facts(
    device: Device, *, boot: m.BootRecord, floor: Floor, progress: Progress
) -> DeviceFacts:
    """The facts; the security counter is the highest that boot or the updater has seen."""
    confirmed, description = progress.confirmed, device.description
    is_confirmed = confirmed is not None and confirmed.version == description.version
    return DeviceFacts(
        model=device.identity.model,
        hardware_revision=device.identity.hardware_revision,
        device_id=device.identity.serial,
        version=description.version,
        manifest_sha256=confirmed.manifest_sha256 if confirmed and is_confirmed else "",
        interface_version=description.interface_version,
        security_counter=max(boot.security_counter, floor.security_counter),
        suite=description.suite,
        withdrawn=frozenset(floor.withdrawn),
        failed=failed_manifests(progress),
        interface=device.interface,
    )
