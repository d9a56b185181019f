"""What SWUpdate's row needs: a signing key, and a signed .swu with one compressed raw image."""

import hashlib
import subprocess
import sys
from pathlib import Path

_DESCRIPTION = """software = {{
    version = "1"; hardware-compatibility: ["1.0"];
    images: ({{
        filename = "new.ext4.zst"; type = "raw"; device = "{slot}";
        compressed = "zstd"; installed-directly = true; sha256 = "{sha256}";
    }});
}}
"""


def prepare(work: Path) -> None:
    """A key and its certificate."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    names = ("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=bench")
    use = ("-addext", "extendedKeyUsage=emailProtection")
    command = ["openssl", "req", "-x509", *curve, *names, *use]
    subprocess.run(command, cwd=work, check=True, capture_output=True)


def pack(work: Path, slot: Path, out: Path) -> None:
    """The .swu: an archive of the description, its signature and the image, in this order."""
    with (work / "new.ext4.zst").open("rb") as image:
        sha256 = hashlib.file_digest(image, "sha256").hexdigest()
    (work / "sw-description").write_text(_DESCRIPTION.format(slot=slot, sha256=sha256))
    sign = ("openssl", "cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig")
    how = ("-signer", "cert.pem", "-inkey", "key.pem", "-outform", "DER", "-nosmimecap", "-binary")
    subprocess.run([*sign, *how], cwd=work, check=True)
    names = "sw-description\nsw-description.sig\nnew.ext4.zst\n"
    with out.open("wb") as file:
        command = ["cpio", "--quiet", "-o", "-H", "crc"]
        subprocess.run(command, cwd=work, input=names.encode(), stdout=file, check=True)


if __name__ == "__main__":
    step, *words = sys.argv[1:]
    {"prepare": prepare, "pack": pack}[step](*map(Path, words))
