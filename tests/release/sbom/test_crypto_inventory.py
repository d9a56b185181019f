"""The cryptographic inventory: complete by the suite and by the source, and true of the tree."""

import ast
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.release.sbom.trees import any_image, make_tree

from limpet.errors import Rejected
from limpet.release.sbom import make_sbom, read_sbom
from limpet.release.sbom._algorithms import (
    ALGORITHMS,
    CIPHER_PARTS,
    GROUP_NAMES,
    SCHEME_NAMES,
    SIGNATURE_PARTS,
)
from limpet.release.sbom._cryptography import CERTIFICATES, FIRMWARE, FIXED, HELD, PASSWORDS, PLACES
from limpet.vendor.home import Home


def test_the_inventory_has_what_the_suite_puts_in_force(written: bytes) -> None:
    sbom = read_sbom(written, "sbom")
    kinds = {(one.kind, one.name) for one in sbom.crypto}
    for name in (
        "Ed25519", "ML-DSA-65", "ECDSA P-256", "X25519", "X25519MLKEM768", "ML-KEM-768",
        "AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "SHA-256", "Argon2id",
        "HMAC-SHA-1", "getrandom(2)",
    ):  # fmt: skip
        assert ("algorithm", name) in kinds
    assert {("protocol", f"TLS 1.3 ({use})") for use in ("local", "vendor", "outbound")} <= kinds
    assert ("certificate", "trust/device-root.pem") in kinds
    assert sum(kind == "related-crypto-material" for kind, _ in kinds) == 3 + 6


def test_an_algorithm_that_the_suite_has_not_is_not_in_the_inventory(
    maker: Home, tmp_path: Path
) -> None:
    first = make_tree(maker, tmp_path / "tree", suite=1)
    data = make_sbom(first, any_image())
    names = {one.name for one in read_sbom(data, "sbom").crypto}
    assert "X25519" in names
    assert "X25519MLKEM768" not in names


def test_cipher_suites_carry_their_numbers_in_order(written: bytes) -> None:
    (local,) = (
        part for part in json.loads(written)["components"] if part["name"] == "TLS 1.3 (local)"
    )
    suites = local["cryptoProperties"]["protocolProperties"]["cipherSuites"]
    assert {one["name"]: one["identifiers"] for one in suites} == {
        "TLS_AES_128_GCM_SHA256": ["0x13", "0x01"],
        "TLS_AES_256_GCM_SHA384": ["0x13", "0x02"],
        "TLS_CHACHA20_POLY1305_SHA256": ["0x13", "0x03"],
    }


def test_every_name_that_a_suite_may_use_is_in_the_table() -> None:
    from limpet.crypto.suites import _types

    assert GROUP_NAMES.keys() == _types.GROUPS.keys()
    assert SIGNATURE_PARTS.keys() == _types.SIGNATURES.keys()
    assert CIPHER_PARTS.keys() == _types.CIPHERS.keys()
    words: set[str] = set()
    for alias in (_types.Hash, _types.Curve, _types.EdwardsKey, _types.Scheme):
        words |= set(alias.__args__)  # type: ignore[attr-defined]
    assert SCHEME_NAMES.keys() == words
    named = {
        name
        for table in (GROUP_NAMES, SIGNATURE_PARTS, CIPHER_PARTS)
        for names in table.values()
        for name in names
    }
    assert named | set(SCHEME_NAMES.values()) | set(FIXED) <= ALGORITHMS.keys()


def test_every_place_of_the_inventory_is_a_file_of_the_tree(tree: Path) -> None:
    places = {*CERTIFICATES, *FIRMWARE, *PASSWORDS, *(place for *_, place in HELD)}
    places |= {place for uses in PLACES.values() for place in uses}
    places |= {place for uses in FIXED.values() for _, place in uses}
    assert [place for place in sorted(places) if not (tree / place).is_file()] == []


def test_every_digest_and_mac_that_the_runtime_names_is_in_the_inventory(tree: Path) -> None:
    """By the source: a hash that somebody adds to the runtime has to be added to the table."""
    known = {"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}
    used: set[str] = set()
    for file in sorted((tree / "runtime").rglob("*.py")):
        used |= set(_digests(ast.parse(file.read_text())))
    assert used, "nothing found: the test looks at nothing"
    assert used <= known.keys(), f"put {used - known.keys()} into the inventory"


def _digests(module: ast.AST) -> Iterable[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "hashlib":
            if node.attr not in ("new", "file_digest"):
                yield node.attr.lower()
        elif isinstance(node, ast.Constant) and node.value in ("sha1", "md5", "blake2b", "sha256"):
            yield str(node.value)


def test_a_tree_with_two_suites_or_none_is_refused(maker: Home, tmp_path: Path) -> None:
    bare = make_tree(maker, tmp_path / "tree")
    suites = bare / "runtime" / "limpet" / "crypto" / "suites"
    (only,) = suites.glob("*.toml")
    shutil.copy(only, suites / "other.toml")
    with pytest.raises(Rejected, match="2 suites"):
        make_sbom(bare, any_image())
    for file in suites.glob("*.toml"):
        file.unlink()
    with pytest.raises(Rejected, match="0 suites"):
        make_sbom(bare, any_image())
