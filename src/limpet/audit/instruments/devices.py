"""Several devices side by side, and where one device keeps its keys.

Owns comparing certificates over devices. Reads private keys only to compute the
hash of their public half; never copies or prints one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limpet.audit.instruments.certificates import Shown, describe_pem, private_keys_below
from limpet.audit.instruments.tls import show_chain, survey_device
from limpet.audit.target import Target
from limpet.errors import LimpetError, Unavailable
from limpet.storage import read_bounded

__all__ = ["DeviceKeys", "read_device_keys", "show_devices"]

MAX_PEM = 64 << 10
PRIVATE = ("keeper", "gateway", "updater")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKeys:
    """Keys by the SHA-256 of their public half."""

    certified: frozenset[str]  # in certificates that name the device's serial
    held: Mapping[str, str]  # private halves on the device: hash to path below the device


def show_devices(target: Target) -> Mapping[str, tuple[Shown, ...]]:
    """The certificates of the device and its siblings, by URL."""
    endpoint = target.need(target.device, "device URL")
    chains = {str(endpoint): target.observe(survey_device).chain}
    others = [*target.siblings, *([target.fresh] if target.fresh else [])]
    for other in others:
        chains.setdefault(str(other), show_chain(other))
    return chains


def read_device_keys(target: Target) -> DeviceKeys:
    """The keys below the device's directory, and those in its certificates."""
    root = target.need(target.device_dir, "--device")
    held: dict[str, str] = {}
    certified: set[str] = set()
    for name in PRIVATE:
        directory = root / name
        if directory.is_dir():
            found = private_keys_below(directory)
            held.update({key: str(path.relative_to(root)) for key, path in found.items()})
            certified |= _certified_below(directory)
    if not certified:
        raise Unavailable("no certificate of the device was found below its directory")
    return DeviceKeys(certified=frozenset(certified), held=held)


def _certified_below(directory: Path) -> set[str]:
    """Keys of the device's own certificates: the ones with a serial in the subject."""
    keys: set[str] = set()
    for path in sorted(directory.rglob("*"))[:1000]:
        if not path.is_file() or path.is_symlink() or path.stat().st_size > MAX_PEM:
            continue
        try:
            data = read_bounded(path, max_bytes=MAX_PEM)
            if b"BEGIN CERTIFICATE" in data:
                keys |= {one.key_sha256 for one in describe_pem(data) if one.serial}
        except LimpetError:
            continue
    return keys
