"""A release in words, beside the one before it.

Owns what a signer reads. Every word comes from what is signed.
"""

import hashlib

from limpet.release._interface import compare_releases
from limpet.wire.release import Bounds, ReleaseManifest, version_key

__all__ = ["duration", "release_lines", "release_warnings"]

_DAY, _HOUR = 86400, 3600
_PPM = 10_000  # parts per million in one percent
Line = tuple[str, str]


def release_lines(
    manifest: ReleaseManifest, before: ReleaseManifest | None, data: bytes
) -> list[Line]:
    """Everything that decides what devices do with it, and what it was before."""
    image, bounds = manifest.image, manifest.bounds
    olds: dict[str, str] = dict(_facts(before)) if before is not None else {}
    lines: list[Line] = [("after", before.version if before is not None else "nothing: the first")]
    for label, said in _facts(manifest):
        was = olds.get(label, said)
        lines.append((label, said if was == said else f"{said}  (was {was})"))
    lines += [
        ("built at", f"{manifest.built_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("source", manifest.source_commit or "not said"),
        ("image", f"sha256 {image.path.removeprefix('images/').removesuffix('.img')}"),
        ("", f"{image.packed} bytes, {image.kind}; {image.size} unpacked"),
        ("content", f"sha256 {image.tree_sha256}"),
        ("manifest", f"sha256 {hashlib.sha256(data).hexdigest()}"),
        ("not before", f"{bounds.not_before:%Y-%m-%d %H:%M:%S} UTC"),
    ]
    lines += [("delta from", f"{one.base_version}, {one.size} bytes") for one in manifest.deltas]
    if before is not None:
        changes = compare_releases(before, manifest)
        lines.append(("interface", f"{len(changes)} changes" if changes else "no change"))
    return lines


def release_warnings(
    manifest: ReleaseManifest, before: ReleaseManifest | None, newest: tuple[int, ...]
) -> list[str]:
    """What a signer should have been told of before the file came."""
    found = []
    bounds = manifest.bounds
    if before is not None:
        olds = before.bounds
        if bounds.minimum_duration_seconds < olds.minimum_duration_seconds or (
            bounds.largest_step_ppm > olds.largest_step_ppm
        ):
            found.append(f"it may spread faster than {before.version}")
        if bounds.report_ppm < olds.report_ppm:
            found.append(f"fewer devices may report on it than on {before.version}")
        if manifest.interface_version != before.interface_version:
            found.append("owners are asked before it is installed")
        if manifest.suite.version < before.suite.version:
            found.append(f"its algorithms are older than those of {before.version}")
    if bounds.minimum_duration_seconds < _DAY:
        found.append(f"all devices may have it within {duration(bounds.minimum_duration_seconds)}")
    if version_key(manifest.version) < newest:
        found.append("a higher version is published")
    return found


def _facts(manifest: ReleaseManifest) -> list[Line]:
    bounds: Bounds = manifest.bounds
    return [
        ("hardware", ", ".join(manifest.hardware_revisions)),
        ("security counter", str(manifest.security_counter)),
        ("interface version", str(manifest.interface_version)),
        ("from version", f"{manifest.minimum_version} or later"),
        ("algorithms", str(manifest.suite)),
        ("first to last", f"{duration(bounds.minimum_duration_seconds)} at least"),
        ("largest step", f"{bounds.largest_step_ppm / _PPM:g} % of the fleet"),
        ("reports", f"{bounds.report_ppm / _PPM:g} % of the fleet at least"),
        ("go ahead", f"{len(bounds.ahead)} devices"),
    ]


def duration(seconds: int) -> str:
    """In days, or in hours where that is less than one."""
    count, unit = (seconds / _DAY, "day") if seconds >= _DAY else (seconds / _HOUR, "hour")
    return f"{count:g} {unit}{'' if count == 1 else 's'}"
