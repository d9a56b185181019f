"""Bundles of RAUC's, made by the real RAUC; and such as it would not make, signed by OpenSSL.

Owns the keys of a vendor that has RAUC, what lies in a bundle, and the release around it.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.release.gate.bench import Bench

from limpet.firmware.image import pack_file
from limpet.release import load_built
from limpet.release._bill import add_bill
from limpet.release._bundle import embedded_content
from limpet.release.sbom import unpack_image

__all__ = ["MANIFEST", "PROGRAMS", "Bundles", "split"]

PROGRAMS = ("rauc", "mksquashfs", "unsquashfs", "openssl")
MANIFEST = """[update]
compatible=thermostat
version=1
{more}
[image.rootfs]
filename=rootfs.img
"""
_DESIGN = """
[development.rauc]
compatible = "thermostat"
keyring = "rauc-keyring.pem"
"""
_LENGTH = 8
_FAST = ("-noI", "-noD", "-noF", "-noX")  # not compressed


@dataclass(frozen=True, slots=True)
class Bundles:
    """The keys of one vendor in `work`, and of somebody else."""

    work: Path

    @classmethod
    def found(cls, work: Path) -> "Bundles":
        """New keys: "own", "foreign", and "code", which is for code alone."""
        work.mkdir()
        for name in ("own", "foreign", "code"):
            curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            names = ["-keyout", work / f"{name}.key", "-out", work / f"{name}.pem"]
            usage = ["-addext", "extendedKeyUsage=codeSigning"] if name == "code" else []
            words = ["openssl", "req", "-x509", *curve, "-days", "30", "-subj", f"/CN={name}"]
            subprocess.run([*words, *names, *usage], check=True, capture_output=True)
        return cls(work)

    def packer(self, key: str = "own", *, kept: Path | None = None) -> Path:
        """A build's program that makes a bundle of a block image, and keeps that in `kept`."""
        program = self.work / f"packer-{key}"
        text = MANIFEST.format(more="")
        program.write_text(
            "#!/bin/sh\nset -eu\ncontent=$(mktemp -d)\n"
            f'cp "$1" "$content/rootfs.img"\ncp "$1" "{kept or "/dev/null"}"\n'
            f'cat > "$content/manifest.raucm" <<END\n{text}END\n'
            f'rauc --cert="{self.work}/{key}.pem" --key="{self.work}/{key}.key" bundle'
            ' "$content" "$2" >/dev/null 2>&1\nrm -r "$content"\n'
        )
        program.chmod(0o755)
        return program

    def introduce(self, bench: Bench) -> None:
        """Say in the product's design whose bundles its devices take."""
        design = bench.product / "product.toml"
        bench.write("product.toml", design.read_text(encoding="utf-8") + _DESIGN)
        shutil.copy(self.work / "own.pem", bench.product / "rauc-keyring.pem")

    def content(
        self, raw: Path, *, manifest: str = MANIFEST.format(more=""), files: Mapping[str, str] = {}
    ) -> Path:
        """A directory of what a bundle holds: the block image `raw`, and `files`."""
        content = self.work / "content"
        shutil.rmtree(content, ignore_errors=True)
        content.mkdir()
        os.link(raw, content / "rootfs.img")
        (content / "manifest.raucm").write_text(manifest)
        for name, text in files.items():
            (content / name).write_text(text)
            (content / name).chmod(0o755)
        return content

    def bundle(self, content: Path, key: str = "own") -> Path:
        """By RAUC."""
        out = self.work / "made.raucb"
        out.unlink(missing_ok=True)
        keys = [f"--cert={self.work}/{key}.pem", f"--key={self.work}/{key}.key"]
        plain = f"--mksquashfs-args={' '.join(_FAST)}"
        words = ["rauc", *keys, "bundle", plain, content, out]
        subprocess.run(words, check=True, capture_output=True)
        return out

    def sign(self, payload: bytes, *, manifest: bytes | None = None) -> Path:
        """`payload` as a bundle that RAUC would not make; `manifest` lies in the signature."""
        out, signed = self.work / "made.raucb", self.work / "signed"
        signed.write_bytes(payload if manifest is None else manifest)
        keys = ["-signer", self.work / "own.pem", "-inkey", self.work / "own.key"]
        words = ["openssl", "cms", "-sign", "-binary", "-outform", "DER", "-in", signed, *keys]
        inside = [] if manifest is None else ["-nodetach"]
        done = subprocess.run([*words, *inside], check=True, capture_output=True)
        signature = done.stdout
        out.write_bytes(payload + signature + len(signature).to_bytes(_LENGTH, "big"))
        return out

    def squash(self, content: Path) -> bytes:
        """The squashfs of a bundle, by hand."""
        out = self.work / "made.squashfs"
        words = ["mksquashfs", content, out, "-noappend", "-all-root", "-quiet", "-no-progress"]
        subprocess.run([*words, *_FAST], check=True, capture_output=True)
        return out.read_bytes()

    def release(self, bench: Bench, bundle: Path) -> None:
        """Make `bundle` the image of the release that the bench has built as a bundle."""
        before = load_built(bench.release).manifest.image
        file = bench.release / "image.img"
        image = pack_file(bundle, file, kind="bundle", verity=before.verity, level=1)
        bench.restamp(image=image)

    def bill(self, bench: Bench) -> None:
        """Make the bill of materials anew, of this image."""
        built = load_built(bench.release)
        place = bench.work / "unpacked"
        place.mkdir()
        tree = unpack_image(built.image, built.manifest.image, place).tree
        bench.restamp(sbom=add_bill(tree, built.manifest.image, bench.release, packed=False))


def split(bundle: Path) -> tuple[bytes, bytes | None]:
    """What is signed or lies before the signature, and the manifest in the signature."""
    data = bundle.read_bytes()
    length = int.from_bytes(data[-_LENGTH:], "big")
    begin = len(data) - _LENGTH - length
    return data[:begin], embedded_content(data[begin:-_LENGTH])
