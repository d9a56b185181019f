"""The release manifest: what one firmware version is, and the bounds of its rollout.

Signed offline as a TUF target of the role `releases/<model>`. It says what
firmware exists and how fast it may spread at most; it never says when a device
shall install it (that is the plan's, see `limpet.wire.rollout`).
"""

import hashlib
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from limpet.crypto.suites import SuiteId
from limpet.wire.codec import Message, Moment
from limpet.wire.times import verify_plausible

__all__ = [
    "DELTA_INDEX_BYTES",
    "FIRST_SUITE",
    "MANIFEST_BYTES",
    "MAX_AHEAD",
    "MAX_DELTAS",
    "SBOM_BYTES",
    "Bounds",
    "Delta",
    "Digest",
    "Group",
    "Image",
    "Issue",
    "ModelName",
    "PartsPerMillion",
    "ReleaseManifest",
    "Verity",
    "Version",
    "ahead_tag",
    "firmware_pattern",
    "manifest_path",
    "sbom_path",
    "version_key",
]

MANIFEST_BYTES = 1 << 20
"""Largest manifest that anyone reads (1 MiB holds the groups of a 5 GiB image)."""

DELTA_INDEX_BYTES = 1 << 20
"""Longest index of a delta (1 MiB holds the hashes of 26,000 segments)."""

SBOM_BYTES = 64 << 20
"""Largest bill of materials that anyone reads (20,000 components take some 30 MB)."""

MAX_DELTAS = 16
"""Old versions that one release can name."""

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""SHA-256 (FIPS 180-4) in lower-case hexadecimal."""

ModelName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}\Z")]
Version = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}\Z")]
Count = Annotated[int, Meta(ge=0)]
Issue = Annotated[str, Meta(pattern=r"\A[!-~]{1,200}\Z")]
"""An issue of the product's tracker: its address, or a number after "#"."""

PartsPerMillion = Annotated[int, Meta(ge=0, le=1_000_000)]


class Group(Message, frozen=True, kw_only=True):
    """One independently verified piece of an image, at most 1 MiB when unpacked."""

    packed: Annotated[int, Meta(gt=0)]  # bytes in transport
    size: Annotated[int, Meta(gt=0, le=1 << 20)]  # bytes after unpacking
    sha256: Digest  # of the unpacked bytes


class Verity(Message, frozen=True, kw_only=True):
    """The hash tree of a block image (dm-verity), see limpet.firmware.verity."""

    root_sha256: Digest
    salt: Digest
    data_blocks: Annotated[int, Meta(gt=0, le=1 << 21)]  # of 4096 bytes; the tree follows


class Image(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Where the image lies and what it must be."""

    path: Annotated[str, Meta(pattern=r"^images/[0-9a-f]{64}\.img\Z")]  # below the repository's URL
    packed: Count  # bytes of the whole file in transport
    size: Count  # bytes unpacked
    codec: Literal["zlib", "zstd"]  # of each group
    groups: tuple[Group, ...]
    tree_sha256: Digest  # of the installed tree, see limpet.firmware.tree; else of all its bytes
    kind: Literal["tree", "block", "bundle"] = "tree"
    verity: Verity | None = None  # of a block image


MAX_AHEAD = 256

MAX_DURATION_SECONDS = 10 * 366 * 86_400
"""Longest ramp: ten years."""

AheadTag = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]


class Delta(Message, frozen=True, kw_only=True):
    """A shorter way to the same image from an old one; what it makes is verified by `Image`."""

    base_version: Version  # for people; `base_tree_sha256` decides
    base_tree_sha256: Digest  # of the old image
    base_size: Count  # bytes of the old image, unpacked
    path: Annotated[str, Meta(pattern=r"^deltas/[0-9a-f]{64}\.delta\Z")]  # as `Image.path`
    size: Count  # bytes of the file
    index_bytes: Annotated[int, Meta(gt=0, le=DELTA_INDEX_BYTES)]  # of its beginning
    index_sha256: Digest  # of these bytes, which hold the hashes of all others


class Bounds(Message, frozen=True, kw_only=True):
    """The offline limits of a rollout; an online plan can only stay within them."""

    not_before: Moment  # UTC
    minimum_duration_seconds: Annotated[int, Meta(ge=0, le=MAX_DURATION_SECONDS)]
    """From the first device to the last, at the fastest."""
    largest_step_ppm: PartsPerMillion  # share that one step of the plan may add
    ahead: Annotated[tuple[AheadTag, ...], Meta(max_length=MAX_AHEAD)] = ()  # need not queue
    report_ppm: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000_000  # of the fleet, at least

    def __post_init__(self) -> None:
        verify_plausible(self.not_before)


FIRST_SUITE = SuiteId(name="limpet-2026", version=1)
"""What firmware goes by that was built before its manifest named a suite."""


class ReleaseManifest(Message, frozen=True, kw_only=True):
    """One firmware version of one model."""

    spec: Literal["limpet-release-1"] = "limpet-release-1"
    model: ModelName
    hardware_revisions: tuple[str, ...]
    version: Version
    security_counter: Count  # a device never goes below the highest that it confirmed
    interface_version: Count  # a change is never installed automatically (draft-moore, 2.4.3)
    minimum_version: Version  # the oldest version to come from
    built_at: Moment  # UTC
    suite: SuiteId = FIRST_SUITE  # of algorithms; a device never takes an older one
    source_commit: Annotated[str, Meta(max_length=64)] = ""  # what it was built from
    image: Image
    deltas: Annotated[tuple[Delta, ...], Meta(max_length=MAX_DELTAS)] = ()
    bounds: Bounds
    interface: Annotated[bytes, Meta(max_length=128 << 10)] = b""
    """The OpenAPI document, packed, see `limpet.firmware.interface`; empty: not described."""
    because: Issue | UnsetType = UNSET
    """The security issue that requires a change of the interface (draft-moore, 5.1)."""
    after_support: Literal[True] | UnsetType = UNSET
    """It is made though the support period is over, and extends nothing."""
    sbom: Digest | UnsetType = UNSET
    """SHA-256 of the bill of materials, see `sbom_path`; absent where none was made."""
    rights: Digest | UnsetType = UNSET
    """SHA-256 of the record of its processes, see `limpet.wire.rights`; absent: there is none."""

    def __post_init__(self) -> None:
        verify_plausible(self.built_at)


def firmware_pattern(model: str) -> str:
    """The TUF target paths that belong to whoever releases firmware of a model."""
    return f"firmware/{model}/*"


def manifest_path(model: str, version: str) -> str:
    """The TUF target path of a release's manifest."""
    return f"firmware/{model}/{version}.json"


def sbom_path(sha256: str) -> str:
    """Where a bill of materials (CycloneDX, JSON) lies below the repository's URL."""
    return f"sboms/{sha256}.cdx.json"


def ahead_tag(version: str, device_id: str) -> str:
    """How a release names a device that may go ahead of its place in the ramp.

    A manifest is public: it lists no serial number, and another tag for each version. Whoever can
    guess serial numbers can test them: it is no secret, only no list.
    """
    text = f"limpet-ahead-1\0{version}\0{device_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def version_key(version: str) -> tuple[int, ...]:
    """`version` in the order in which releases follow each other."""
    return tuple(int(part) for part in version.split("."))
