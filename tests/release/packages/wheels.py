"""Wheels that tests make: whole ones, and ones that attack whoever unpacks them."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from limpet.release.packages import RUNTIME_NEEDS

__all__ = ["ELF_X86_64", "device_wheels", "entry_for", "lock_line", "make_wheel"]

ELF_X86_64 = b"\x7fELF\x02\x01\x01" + bytes(11) + (62).to_bytes(2, "little") + bytes(44)


def make_wheel(
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    files: Mapping[str, bytes] | None = None,
    unrecorded: Mapping[str, bytes] | None = None,
    metadata: Sequence[str] = (),
    record: Mapping[str, bytes] | None = None,
    entries: Iterable[tuple[zipfile.ZipInfo, bytes]] = (),
) -> tuple[str, bytes]:
    """File name and bytes. `record`: contents that RECORD vouches for instead of the real ones;
    `unrecorded`: what it does not name; `entries` are added as they are."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    head = ("Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *metadata)
    contents = {
        f"{module}/__init__.py": f'WHO = "{name} {version}"\n'.encode(),
        f"{info}/METADATA": "\n".join((*head, "", "")).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        f"{info}/licenses/LICENSE": b"Do what you like.\n",
        **(files or {}),
    }
    lines = [_line(path, data) for path, data in {**contents, **(record or {})}.items()]
    contents[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in {**contents, **(unrecorded or {})}.items():
            archive.writestr(path, data)
        for entry, data in entries:
            archive.writestr(entry, data, entry.compress_type)
    return f"{module}-{version}-{tag}.whl", packed.getvalue()


def entry_for(path: str, *, mode: int = 0) -> zipfile.ZipInfo:
    """An entry as an attacker writes it."""
    entry = zipfile.ZipInfo(path)
    entry.external_attr = mode << 16
    return entry


def lock_line(name: str, version: str, *wheels: bytes, marker: str = "") -> str:
    """A line of a lock for the files `wheels`."""
    hashes = " ".join(f"--hash=sha256:{hashlib.sha256(wheel).hexdigest()}" for wheel in wheels)
    return f"{name}=={version}{f' ; {marker}' if marker else ''} {hashes}\n"


def device_wheels(directory: Path, **metadata: Sequence[str]) -> str:
    """Small wheels of all that limpet's runtime needs, into `directory`; the lines that lock them.

    `metadata`: more lines for the package of that name.
    """
    lines = []
    for need in RUNTIME_NEEDS:
        name, _, version = need.partition(">=")
        file, data = make_wheel(name, version, metadata=metadata.get(name, ()))
        (directory / file).write_bytes(data)
        lines.append(lock_line(name, version, data))
    return "".join(lines)


def _line(path: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"
