"""RAUC's own word on a bundle: whether devices with the product's keyring would take it.

Owns the call of `rauc`, by a configuration of its own: what this machine's RAUC is told counts for
nothing, and no handler is run. Nothing is installed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Rejected, Unavailable, naming
from limpet.product import PRODUCT_FILE, RaucBundles, load_product
from limpet.release._bundle import BundleManifest
from limpet.release._tools import run_tool
from limpet.storage import read_bounded

__all__ = ["Believed", "load_believed"]

SECONDS = 600.0
_KEYRING_BYTES = 1 << 20
_WORDS = 200
_NOISE = re.compile(r"rauc-Message:|[0-9A-F]+:error:")
"""Lines that say what was done, and OpenSSL's own of what the last line says."""
_CONFIGURATION = """[system]
compatible={compatible}
bootloader=noop
bundle-formats=plain verity

[keyring]
path={keyring}
check-purpose={purpose}
"""


@dataclass(frozen=True, slots=True)
class Believed:
    """What the devices' RAUC believes, as the design file says."""

    rauc: RaucBundles
    keyring: bytes  # certificates, PEM

    def unpack(self, bundle: Path, into: Path) -> None:
        """Have RAUC verify the signature of all of `bundle`, and make the directory `into` of it.

        Raises `Rejected("rauc-refused")` with RAUC's words, `Unavailable`.
        """
        keyring, configuration = bundle.with_name("keyring.pem"), bundle.with_name("system.conf")
        keyring.write_bytes(self.keyring)
        configuration.write_text(
            _CONFIGURATION.format(
                compatible=self.rauc.compatible, keyring=keyring, purpose=self.rauc.purpose
            ),
            encoding="utf-8",
        )
        status, said = _run(f"--conf={configuration}", "extract", str(bundle), str(into))
        if status != 0:
            raise Rejected(
                "rauc-refused",
                f"RAUC does not take this bundle by {self.rauc.keyring}: "
                + said.replace(str(keyring), self.rauc.keyring),
                hint="sign it with the key of a certificate that the devices' keyring believes",
            )

    def verify(self, manifest: BundleManifest | None) -> None:
        """That it is for these devices and their slots. Raises `Rejected("wrong-bundle")`."""
        said = (manifest.compatible, manifest.slot) if manifest is not None else ("", "")
        wanted = (self.rauc.compatible, self.rauc.slot)
        if said != wanted:
            raise Rejected(
                "wrong-bundle",
                f"the bundle is for {said[0]!a}, slot {said[1]!a};"
                f" by {PRODUCT_FILE} the devices are {wanted[0]!a}, slot {wanted[1]!a}",
                hint=f"mend the packer, or [development.rauc] in {PRODUCT_FILE}",
            )


def load_believed(product: Path) -> Believed:
    """What `product` says of its devices' RAUC. Raises as `load_product`, and `Unavailable` if it
    says nothing."""
    development = load_product(product / PRODUCT_FILE).development
    if development is None or development.rauc is None:
        raise Unavailable(
            f"inconclusive: this is a bundle, and {PRODUCT_FILE} does not say whose bundles the"
            " devices take",
            hint="add [development.rauc], see docs/rauc.md#before-a-release",
        )
    keyring = product / development.rauc.keyring
    if keyring.is_symlink():
        raise Rejected("bad-key", f"{keyring} is a link", hint="put the certificates there")
    with naming(keyring):
        return Believed(development.rauc, read_bounded(keyring, max_bytes=_KEYRING_BYTES))


def _run(*words: str) -> tuple[int, str]:
    """Status, and the last of what was said."""
    done = run_tool(
        ("rauc", *words),
        seconds=SECONDS,
        hint="Debian: apt-get install rauc squashfs-tools",
        environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
    )
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    plain = [line for line in lines if not _NOISE.match(line)]
    return done.returncode, "; ".join(plain)[-_WORDS:] or f"status {done.returncode}"
