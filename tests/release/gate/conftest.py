"""The sound product, made once, and copies of it to spoil; SARIF's schema, as others ship it."""

import base64
import hashlib
import json
import tarfile
from pathlib import Path

import jsonschema_rs
import pytest
from tests.needs import need
from tests.node import fetch
from tests.release.gate.bench import Bench
from tests.release.workshop import EXAMPLE, NOW

from limpet.vendor.home import create

SCHEMA_PACKAGE = "@microsoft/jest-sarif@1.0.0-beta.0"
SCHEMA_SHA512 = (
    "A1fOhPd6Ic5iDk4F9YPw1qNB4XF+7+IviR7xl8r2F6QzQkx5cpY9LsGk2rExiFIEcBbjpVnSmwWGBukASkiQ9A=="
)
SCHEMA_FILE = "package/lib/schemas/sarif-2.1.0-rtm.5.json"
ERRATUM = ("^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$", "^[a-zA-Z]{2}(-[a-zA-Z]{2})?$")
"""The one pattern that Errata 01 mended; as it was, not every engine reads it."""


@pytest.fixture(scope="session")
def sarif(tmp_path_factory: pytest.TempPathFactory) -> jsonschema_rs.Draft7Validator:
    """The schema of SARIF 2.1.0 (OASIS), in a package of npm's, by content."""
    need("npm", package="npm", untried="no output was held against SARIF's schema")
    directory = tmp_path_factory.mktemp("sarif")
    fetch("npm", "pack", "--silent", SCHEMA_PACKAGE, at=directory)
    (file,) = directory.glob("*.tgz")
    assert hashlib.sha512(file.read_bytes()).digest() == base64.b64decode(SCHEMA_SHA512)
    with tarfile.open(file) as archive:
        member = archive.extractfile(SCHEMA_FILE)
        assert member is not None
        text = member.read().decode().replace(*ERRATUM)
        # Draft 4, but for the format "uri-reference", which its keywords came to know later.
        schema = json.loads(text) | {"$schema": "http://json-schema.org/draft-07/schema#"}
        del schema["id"]
        return jsonschema_rs.Draft7Validator(schema, validate_formats=True)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Nobody changes this one."""
    work = tmp_path_factory.mktemp("gate")
    return Bench.found(work, create(work / "vendor", EXAMPLE, now=NOW, unsafe_without_gate=True))


@pytest.fixture
def bench(sound: Bench, tmp_path: Path) -> Bench:
    """A copy, so that a test may spoil it."""
    return sound.copy(tmp_path / "bench")
