"""A built release as `limpet release` shows it, to people and as JSON.

Owns the words. Decides nothing.
"""

from datetime import datetime

import msgspec

from limpet.crypto.suites import SuiteId
from limpet.release import Built
from limpet.wire.release import Bounds

__all__ = ["Shown", "print_release", "show_release"]

_DAY = 86400
_PPM = 10_000  # parts per million in one percent


class DeltaShown(msgspec.Struct, frozen=True, kw_only=True):
    """A delta of a release, as `--json` gives it."""

    base_version: str
    size: int
    path: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A built release, as `--json` gives it."""

    directory: str
    model: str
    version: str
    hardware_revisions: tuple[str, ...]
    security_counter: int
    interface_version: int
    minimum_version: str
    built_at: datetime
    manifest_sha256: str
    image: str
    image_bytes: int
    tree_sha256: str
    suite: SuiteId
    bounds: Bounds
    deltas: tuple[DeltaShown, ...]


def show_release(built: Built) -> Shown:
    manifest = built.manifest
    return Shown(
        directory=str(built.directory),
        model=manifest.model,
        version=manifest.version,
        hardware_revisions=manifest.hardware_revisions,
        security_counter=manifest.security_counter,
        interface_version=manifest.interface_version,
        minimum_version=manifest.minimum_version,
        built_at=manifest.built_at,
        manifest_sha256=built.manifest_sha256,
        image=manifest.image.path,
        image_bytes=manifest.image.packed,
        tree_sha256=manifest.image.tree_sha256,
        suite=manifest.suite,
        bounds=manifest.bounds,
        deltas=tuple(
            DeltaShown(base_version=delta.base_version, size=delta.size, path=delta.path)
            for delta in manifest.deltas
        ),
    )


def print_release(shown: Shown) -> None:
    bounds = shown.bounds
    print(f"{shown.model} {shown.version}  {shown.directory}")
    print(f"  hardware          {', '.join(shown.hardware_revisions)}")
    print(f"  security counter  {shown.security_counter}")
    print(f"  interface         {shown.interface_version}")
    print(f"  from version      {shown.minimum_version}")
    print(f"  algorithms        {shown.suite}")
    print(f"  built at          {shown.built_at:%Y-%m-%d %H:%M:%S} UTC")
    print(f"  image             {shown.image_bytes} bytes, {shown.image}")
    for made in shown.deltas:
        share = 100 * made.size / max(shown.image_bytes, 1)
        print(f"  from {made.base_version:<12} {made.size} bytes ({share:.1f} %), {made.path}")
    print(f"  manifest          sha256 {shown.manifest_sha256}")
    print(
        f"  bounds            not before {bounds.not_before:%Y-%m-%d %H:%M:%S} UTC,"
        f" at least {_duration(bounds.minimum_duration_seconds)},"
        f" at most {bounds.largest_step_ppm / _PPM:g} % a step,"
        f" {len(bounds.ahead)} device{'s' if len(bounds.ahead) != 1 else ''} may go ahead,"
        f" {bounds.report_ppm / _PPM:g} % or more report"
    )


def _duration(seconds: int) -> str:
    """In days, or in hours where that is less than one."""
    count, unit = (
        (seconds / _DAY, "day") if seconds >= _DAY or not seconds else (seconds / 3600, "hour")
    )
    return f"{count:g} {unit}{'' if count == 1 else 's'}"
