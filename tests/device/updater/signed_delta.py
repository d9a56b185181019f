"""A release that the running device can reach by a delta, written by hand, honest or hostile.

By the vectors' own writer (tests/firmware/deltas/make.py) and not by limpet's encoder, so that a
signer's mistake can be anything that the format can say.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from tests.device.updater.attacks import Case
from tests.device.updater.simulator import MODEL, RELEASES, make_manifest
from tests.firmware.deltas.make import COPY, LITERAL, delta, op, segment

from limpet.firmware.image import build_image, group_reader, range_reader
from limpet.wire.codec import encode_json
from limpet.wire.release import Delta, Image, manifest_path
from limpet.wire.rollout import PlannedRelease

__all__ = ["NEW", "Streams", "honest", "offer_by_delta", "sign_raw"]

NEW = "1.1.0"
Made = tuple[bytes, int]
"""A delta's file, and the length of its index."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Both archives, and where the new one is cut."""

    old: bytes
    new: bytes
    groups: tuple[int, ...]

    def pieces(self) -> list[tuple[int, bytes]]:
        """Each group as a number of bytes that are where they were, and the new ones after."""
        found, at = [], 0
        for size in self.groups:
            pairs = zip(self.old[at : at + size], self.new[at : at + size], strict=False)
            same = next((number for number, (a, b) in enumerate(pairs) if a != b), size)
            found.append((same, self.new[at + same : at + size]))
            at += size
        return found


def honest(streams: Streams) -> Made:
    """The delta that any encoder would make."""
    code, literals = b"", b""
    for same, new in streams.pieces():
        code += op(COPY, same, 0) if same else b""
        code += op(LITERAL, len(new)) if new else b""
        literals += new
    return delta((len(streams.groups), segment(code, literals)))


_STREAMS: dict[str, tuple[Streams, Image]] = {}
"""By new tree's version: every test runs the same old tree."""


def offer_by_delta(
    case: Case, make: Callable[[Streams], Made] = honest, version: str = NEW, **entry: Any
) -> None:
    """Sign and offer a release with a delta from what runs; `entry` changes what is said of it."""
    running, new = case.bench.root / "slots" / "a", case.work / f"tree-{version}"
    if not new.exists():
        shutil.copytree(running, new)
        (new / "firmware.json").write_text(json.dumps({"version": version, "longer": "than once"}))
    streams, image = _streams(case, version)
    data, index_bytes = make(streams)
    fields: dict[str, Any] = {
        "base_version": "1.0.0",
        "base_tree_sha256": case.bench.tree_before,
        "base_size": len(streams.old),
        "path": f"deltas/{hashlib.sha256(data).hexdigest()}.delta",
        "size": len(data),
        "index_bytes": index_bytes,
        "index_sha256": hashlib.sha256(data[:index_bytes]).hexdigest(),
    }
    described = Delta(**(fields | entry))
    case.repository.files[described.path] = data
    case.kept["delta"], case.kept["image"] = described, image
    case.offer(case.sign(version, deltas=(described,)))
    case.repository.asked.clear()


def sign_raw(case: Case, version: str = "1.2.0", **fields: Any) -> None:
    """Sign and offer a release whose manifest says what no type of limpet's could."""
    text = msgspec.json.decode(encode_json(make_manifest(case.repository, case.work, version)))
    digest = case.repository.add_target(
        RELEASES, manifest_path(MODEL, version), json.dumps(text | fields).encode()
    )
    case.release = PlannedRelease(version=version, manifest_sha256=digest)
    case.offer()


def _streams(case: Case, version: str) -> tuple[Streams, Image]:
    if version not in _STREAMS:
        made = []
        for tree in (case.bench.root / "slots" / "a", case.work / f"tree-{version}"):
            file = case.work / f"{version}-{tree.name}.stream"
            image = build_image(tree, file)
            read = group_reader(image, range_reader(file))
            made.append((image, b"".join(read(number) for number in range(len(image.groups)))))
        (_, old), (image, new) = made
        _STREAMS[version] = Streams(old, new, tuple(g.size for g in image.groups)), image
    return _STREAMS[version]
