"""The files: each value is known and has a source, and a bad file gets one error with its key."""

import re
import tomllib
from pathlib import Path

import pytest

from limpet.crypto import suites
from limpet.crypto.suites import (
    CURRENT,
    TlsUse,
    bundled_suites,
    first_suite,
    load_suite,
    parse_suite,
)
from limpet.errors import Rejected, Unavailable

FILES = sorted(bundled_suites().values())
GOOD = first_suite().read_text()
SOURCE = re.compile(r"RFC \d+|NIST SP \d|FIPS \d+|draft-ietf-|OWASP|MiB")


def test_the_newest_file_is_in_force() -> None:
    versions = bundled_suites()
    assert CURRENT.version == max(versions)
    assert load_suite(versions[CURRENT.version]) == CURRENT
    assert CURRENT.name == versions[CURRENT.version].stem


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_value_that_a_file_chooses_cites_its_source(file: Path) -> None:
    """Argon2id's passes and lanes belong to the profile that is cited above them."""
    uncited = [
        line
        for line in file.read_text().splitlines()
        if re.match(r"\s+\"|\w+ = [\[\d\"]", line)
        and not line.rstrip().endswith("[")
        and not re.match(r"(spec|name|version|passes|lanes|besides) = |\w+ = \[\]", line)
        and not SOURCE.search(line)
    ]
    assert uncited == []


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('spec = "limpet-suite-1"', 'spec = "limpet-suite-2"', "spec"),
        ("[passwords]", "[passwords]\npepper = 1", "pepper"),
        ("[tls.local]", "[tls.local]\ncompression = true", "compression"),
        ("[tls.outbound]", "[tls.elsewhere]", "elsewhere"),
        ('"x25519",', '"x25518",', "tls.local.groups"),
        ('"x25519",', '"x25519", "x25519",', "tls.local.groups"),
        ('"ed25519",  # RFC 8032\n    "rsa', '"dsa",\n    "rsa', "tls.outbound.signatures"),
        ('versions = ["TLSv1.3"]', 'versions = ["TLSv1.2"]', "$.tls"),
        ('hashes = ["sha256",', 'hashes = ["sha1",', "certificates.hashes"),
        ("rsa_minimum_bits = 3072", "rsa_minimum_bits = 1024", "rsa_minimum_bits"),
        ("memory_kib = 19456", "memory_kib = 64", "memory_kib"),
        ('offline = [["ed25519"]]', 'offline = [["rsassa-pss-sha256"]]', "firmware.offline"),
        ('offline = [["ed25519"]]', "offline = []", "firmware.offline"),
        ("lanes = 1", "", "lanes"),
        ("version = 1\n", "version = 0\n", "version"),
        ("version = 1\n", "version = = 1\n", "TOML"),
    ],
)
def test_a_bad_file_gets_an_error_that_names_the_key(
    tmp_path: Path, old: str, new: str, named: str
) -> None:
    assert old in GOOD
    file = tmp_path / "suite.toml"
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(Rejected) as refused:
        load_suite(file)
    assert refused.value.reason == "bad-suite"
    assert named in refused.value.message
    assert str(file) in refused.value.message
    assert "docs/cryptography.md" in refused.value.hint


@pytest.mark.parametrize("data", [b"\xff\xfe", b"x" * (65 << 10), b"a = " + b"[" * 5000, b""])
def test_what_is_no_suite_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        parse_suite(data)
    assert refused.value.reason == "bad-suite"


def test_two_files_of_one_version_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of the two is in force would be chance."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(GOOD)
    monkeypatch.setattr(suites, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(Rejected, match="same version"):
        bundled_suites()
    for file in tmp_path.glob("*.toml"):
        file.unlink()
    with pytest.raises(Unavailable):
        bundled_suites()


def test_every_use_of_tls_has_rules_of_its_own() -> None:
    tree = tomllib.loads(GOOD)
    assert set(tree["tls"]) == {use.value for use in TlsUse}
    narrowed = GOOD.replace('    "x25519",  # RFC 7748; RFC 8446, 9.1\n', "", 1)
    suite = parse_suite(narrowed.encode())
    assert "x25519" not in suite.tls_rules(TlsUse.LOCAL).groups
    assert "x25519" in suite.tls_rules(TlsUse.VENDOR).groups
