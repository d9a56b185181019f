"""What goes into a firmware tree, file by file.

Owns the list of limpet's packages that a device carries, and the normal form of
what is copied: regular files only, nothing hidden, no byte code (`_bytecode` makes it anew), two
modes. Never copies a private key: a file that looks like one stops the build.

    firmware.json      product.toml
    runtime/limpet/    the packages of `RUNTIME`, with one suite in crypto/suites/
    app/               the product's own
    trust/             root.json, device-root.pem, service-root.pem, gate.pem
    packages/          of others; `limpet.release.packages` puts them in afterwards
"""

import shutil
from pathlib import Path

import limpet
from limpet.errors import Rejected, Unavailable
from limpet.firmware.description import DESCRIPTION_FILE, FirmwareDescription
from limpet.firmware.tree import verify_name
from limpet.product import PRODUCT_FILE
from limpet.storage import advice_for, write_atomic
from limpet.wire.attestation import GATE_KEYS_FILE
from limpet.wire.codec import encode_json

__all__ = ["RUNTIME", "TRUST", "assemble_tree"]

RUNTIME = (
    "__init__.py",
    "py.typed",
    "errors.py",
    "storage.py",
    "crypto",
    "https",
    "product",
    "wire",
    "firmware",
    "device",
)
"""The parts of limpet that a device needs; nothing of the vendor's, the auditor's, the owner's."""

TRUST = ("root.json", "device-root.pem", "service-root.pem")

_LEFT_OUT = frozenset({"__pycache__"})
_LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyo"})
_PRIVATE = b"PRIVATE KEY-----"
_HEAD_BYTES = 4096


def assemble_tree(
    product: Path, trust: Path, description: FirmwareDescription, out: Path, *, suite: Path
) -> None:
    """Fill the new directory `out` with the tree that `description` names.

    `product` is the directory that holds `product.toml` and `app/`; `suite` becomes the only file
    of its kind in the runtime, and thus the one in force. Raises `Unavailable` for a
    missing part and `Rejected("not-firmware")` for a link, an odd name or a private key.
    """
    out.mkdir()
    source = Path(limpet.__file__).parent
    for name in RUNTIME:
        _copy(source / name, out / "runtime" / "limpet" / name, out)
    suites = out / "runtime" / "limpet" / "crypto" / "suites"
    for bundled in suites.glob("*.toml"):
        bundled.unlink()
    _copy(suite, suites / f"{description.suite.name}.toml", out)
    _copy(product / PRODUCT_FILE, out / PRODUCT_FILE, out)
    _copy(product / "app", out / "app", out)
    for name in TRUST:
        _copy(trust / name, out / "trust" / name, out)
    if (trust / GATE_KEYS_FILE).exists():  # else this vendor's devices take what no gate judged
        _copy(trust / GATE_KEYS_FILE, out / "trust" / GATE_KEYS_FILE, out)
    write_atomic(out / DESCRIPTION_FILE, encode_json(description), mode=0o644)


def _copy(source: Path, target: Path, base: Path) -> None:
    if not source.exists():
        raise Unavailable(f"there is no {source}", hint="a firmware needs it")
    relative = target.relative_to(base).as_posix()
    try:
        verify_name(relative)
    except Rejected as error:
        raise Rejected("not-firmware", f"{source}: {error.message}") from error
    if source.is_symlink():
        raise Rejected("not-firmware", f"{source} is a link", hint="put the file itself there")
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for child in sorted(source.iterdir()):
            if not _is_left_out(child):
                _copy(child, target / child.name, base)
    elif source.is_file():
        _copy_file(source, target)
    else:
        raise Rejected("not-firmware", f"{source} is neither a file nor a directory")


def _is_left_out(path: Path) -> bool:
    """Hidden files and byte code: what editors, checkers and Python leave behind."""
    hidden = path.name.startswith(".")
    return hidden or path.name in _LEFT_OUT or path.suffix in _LEFT_OUT_SUFFIXES


def _copy_file(source: Path, target: Path) -> None:
    try:
        with source.open("rb") as file:
            if _PRIVATE in file.read(_HEAD_BYTES) and source.suffix != ".py":
                raise Rejected("not-firmware", f"{source} holds a private key")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target, follow_symlinks=False)
        target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(
            f"cannot copy {source} into {target.parent}: {why}", hint=advice_for(error)
        ) from error
