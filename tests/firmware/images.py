"""A small tree of three groups as an image, its installation, and the slot before it."""

import hashlib
from pathlib import Path

from limpet.firmware.image import range_reader
from limpet.firmware.installation import install_image
from limpet.wire.release import Image


def make_tree(root: Path, seed: str = "new") -> Path:
    (root / "app" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "firmware.json").write_text(seed)
    (root / "app" / "run").write_text("#!/bin/sh\n")
    (root / "app" / "run").chmod(0o755)
    (root / "app" / "nothing").write_bytes(b"")
    noise = b"".join(hashlib.sha256(f"{seed}{i}".encode()).digest() for i in range(80_000))
    (root / "app" / "deep" / "data.bin").write_bytes(noise)  # 2.4 MiB: three groups
    return root


def install(slots: Path, image: Image, file: Path) -> str:
    journal = slots / "journal"
    return install_image(image, range_reader(file), slots / "b", journal=journal).tree_sha256


def assert_old(slots: Path) -> None:
    assert (slots / "b" / "old").read_text() == "old firmware"
