"""Advisories signed by OpenPGP: gpg signs, and gpg with the published key alone verifies."""

import hashlib
import json
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.gnupg import gpg, make_keyring
from tests.release.disclosure.test_advisories import (
    ID,
    NOW,
    distribution,
    draft,
    killed_at_write,
    verify_list,
)

from limpet.errors import Rejected
from limpet.release.disclosure import (
    Distribution,
    Signer,
    load_signer,
    publish_advisory,
    save_draft,
    verify_signature,
)

OWNER, OTHER = "psirt@instruments.example.com", "other@instruments.example.com"
DOCUMENT = "2026/ex-2026-001.json"


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GnuPG's directory with two keys without a passphrase."""
    return make_keyring(tmp_path_factory.mktemp("g"), OWNER, OTHER)


@pytest.fixture
def signer(keyring: Path) -> Signer:
    return load_signer(OWNER, keyring)


def publish(directory: Path, signer: Signer | None, *, summary: str = "", days: int = 0) -> None:
    place = replace(distribution(directory), signer=signer)
    now = NOW + timedelta(days=days)
    publish_advisory(directory / "product", ID, place, summary=summary, now=now)


def provider(directory: Path) -> dict[str, object]:
    said: dict[str, object] = json.loads(
        (directory / "public/csaf/provider-metadata.json").read_bytes()
    )
    return said


def links(directory: Path) -> dict[str, list[str]]:
    """Of the only entry of the feed: what is linked, by its relation."""
    (entry,) = json.loads((directory / "public/advisories/feed.json").read_bytes())["feed"]["entry"]
    found: dict[str, list[str]] = {}
    for one in entry["link"]:
        found.setdefault(one["rel"], []).append(one["href"].rpartition("/")[2])
    return found


def as_a_reader(directory: Path, ring: Path) -> None:
    """By the files alone, as CSAF 2.0 tells a client: keys, then signature and hashes."""
    ring.mkdir(mode=0o700)
    keys = provider(directory)["public_openpgp_keys"]
    assert isinstance(keys, list)
    for one in keys:
        file = one["url"].removeprefix("https://vendor.example.com/.well-known/")
        gpg(ring, "--import", str(directory / "public" / file))
    document = directory / "public/advisories" / DOCUMENT
    gpg(ring, "--verify", f"{document}.asc", str(document))
    for name in ("sha256", "sha512"):
        line = Path(f"{document}.{name}").read_text()
        assert line.split() == [hashlib.new(name, document.read_bytes()).hexdigest(), document.name]


def test_a_signed_advisory_verifies_with_the_published_key_and_the_vendor_is_a_trusted_provider(
    tmp_path: Path, signer: Signer
) -> None:
    save_draft(tmp_path / "product", draft())
    publish(tmp_path, signer)
    as_a_reader(tmp_path, tmp_path / "ring")
    assert provider(tmp_path)["role"] == "csaf_trusted_provider"
    assert links(tmp_path)["signature"] == ["ex-2026-001.json.asc"]
    assert links(tmp_path)["hash"] == ["ex-2026-001.json.sha256", "ex-2026-001.json.sha512"]
    assert b"PRIVATE" not in b"".join(
        one.read_bytes() for one in (tmp_path / "public").rglob("*") if one.is_file()
    )


def test_a_changed_document_does_not_verify(tmp_path: Path, signer: Signer) -> None:
    save_draft(tmp_path / "product", draft())
    publish(tmp_path, signer)
    document = tmp_path / "public/advisories" / DOCUMENT
    document.write_bytes(document.read_bytes().replace(b"long name", b"short name"))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        as_a_reader(tmp_path, tmp_path / "ring")
    assert b"BAD signature" in caught.value.stderr


def test_publishing_again_keeps_the_signature_with_and_without_the_key(
    tmp_path: Path, signer: Signer
) -> None:
    save_draft(tmp_path / "product", draft())
    publish(tmp_path, signer)
    state = {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*") if one.is_file()}
    for again in (signer, None):
        publish(tmp_path, again, days=1)
        assert {
            one: one.stat().st_mtime_ns for one in tmp_path.rglob("*") if one.is_file()
        } == state


def test_a_revision_without_the_key_takes_the_signature_away_and_the_role_with_it(
    tmp_path: Path, signer: Signer
) -> None:
    save_draft(tmp_path / "product", draft())
    publish(tmp_path, signer)
    save_draft(tmp_path / "product", draft(title="Another"), replace=True)
    publish(tmp_path, None, summary="x", days=1)
    assert not (tmp_path / f"public/advisories/{DOCUMENT}.asc").exists()
    assert provider(tmp_path)["role"] == "csaf_provider"
    assert "signature" not in links(tmp_path)
    place = replace(distribution(tmp_path), signer=signer)
    assert place.sign_all(now=NOW + timedelta(days=2)) == (DOCUMENT,)
    assert place.sign_all(now=NOW + timedelta(days=2)) == ()
    as_a_reader(tmp_path, tmp_path / "ring")
    assert provider(tmp_path)["role"] == "csaf_trusted_provider"


@pytest.mark.parametrize("forged", ["nonsense", "of another document", "by another key"])
def test_a_signature_that_is_not_good_is_replaced(
    tmp_path: Path, signer: Signer, keyring: Path, forged: str
) -> None:
    save_draft(tmp_path / "product", draft())
    publish(tmp_path, signer)
    document = tmp_path / "public/advisories" / DOCUMENT
    bad = {
        "nonsense": lambda: b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n",
        "of another document": lambda: signer.sign(b"another"),
        "by another key": lambda: load_signer(OTHER, keyring).sign(document.read_bytes()),
    }[forged]()
    Path(f"{document}.asc").write_bytes(bad)
    with pytest.raises(Rejected):
        verify_signature(document.read_bytes(), bad, [signer.public])
    place = replace(distribution(tmp_path), signer=signer)
    assert place.sign_all(now=NOW) == (DOCUMENT,)
    as_a_reader(tmp_path, tmp_path / "ring")


def test_documents_that_an_older_key_signed_stay_signed_by_it(
    tmp_path: Path, signer: Signer, keyring: Path
) -> None:
    save_draft(tmp_path / "product", draft())
    publish(tmp_path, signer)
    newer = load_signer(OTHER, keyring)
    assert replace(distribution(tmp_path), signer=newer).sign_all(now=NOW) == ()
    save_draft(tmp_path / "product", draft(title="Another"), replace=True)
    publish(tmp_path, newer, summary="x", days=1)
    keys = provider(tmp_path)["public_openpgp_keys"]
    assert isinstance(keys, list)
    assert {one["fingerprint"] for one in keys} == {signer.fingerprint, newer.fingerprint}
    as_a_reader(tmp_path, tmp_path / "ring")


def test_what_a_stolen_key_signed_is_signed_anew_once_its_file_is_taken_away(
    tmp_path: Path, signer: Signer, keyring: Path
) -> None:
    save_draft(tmp_path / "product", draft())
    publish(tmp_path, signer)
    (tmp_path / f"public/csaf/openpgp/{signer.fingerprint}.asc").unlink()
    newer = load_signer(OTHER, keyring)
    assert replace(distribution(tmp_path), signer=newer).sign_all(now=NOW) == (DOCUMENT,)
    (key,) = provider(tmp_path)["public_openpgp_keys"]  # type: ignore[misc]
    assert key["fingerprint"] == newer.fingerprint
    as_a_reader(tmp_path, tmp_path / "ring")


@pytest.mark.parametrize(("key", "reason"), [("nobody@example.org", "not-signed"),
                                             ("instruments.example.com", "which-key"),
                                             ("--armor", "not-signed")])  # fmt: skip
def test_a_key_that_is_not_there_or_not_one_is_refused(
    keyring: Path, key: str, reason: str
) -> None:
    with pytest.raises(Rejected) as caught:
        load_signer(key, keyring)
    assert caught.value.reason == reason


def test_a_key_that_cannot_sign_leaves_everything_as_it_was(
    tmp_path: Path, signer: Signer, keyring: Path
) -> None:
    """It expired, say, or its card was drawn: gpg no longer has its secret part."""
    save_draft(tmp_path / "product", draft())
    publish(tmp_path, signer)
    save_draft(tmp_path / "product", draft(title="Another"), replace=True)
    state = {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()}
    elsewhere = tmp_path.parent / f"{tmp_path.name}-r"
    elsewhere.mkdir(mode=0o700)
    with pytest.raises(Rejected, match="gpg did not sign it"):
        publish(tmp_path, replace(signer, home=elsewhere), summary="x", days=1)
    assert {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()} == state


def test_a_signed_publication_that_is_killed_at_any_write_shows_no_signature_of_another_document(
    tmp_path: Path, signer: Signer
) -> None:
    steps = 0
    while True:
        place = tmp_path / f"{steps}"
        save_draft(place / "product", draft())
        publish(place, signer)
        save_draft(place / "product", draft(title="Another"), replace=True)
        if not killed_at_write(place, steps, signer):
            break
        document = place / "public/advisories" / DOCUMENT
        beside = Path(f"{document}.asc")
        verify_list(distribution(place))
        if beside.exists():
            verify_signature(document.read_bytes(), beside.read_bytes(), [signer.public])
        publish(place, signer, summary="Another title", days=2)
        as_a_reader(place, tmp_path / f"ring{steps}")
        (after,) = verify_list(distribution(place))
        assert after.document.title == "Another"
        steps += 1
    assert steps >= 10  # product, three taken away, document, three, copy, feed, changes, metadata


def test_the_role_is_of_all_that_is_listed(tmp_path: Path, signer: Signer) -> None:
    for name, key in (("EX-2026-001", signer), ("EX-2026-002", None)):
        save_draft(tmp_path / "product", draft(id=name))
        place = Distribution(public=tmp_path / "public", host="vendor.example.com", signer=key)
        publish_advisory(tmp_path / "product", name, place, summary="", now=NOW)
    assert provider(tmp_path)["role"] == "csaf_provider"
    assert replace(distribution(tmp_path), signer=signer).sign_all(now=NOW) == (
        "2026/ex-2026-002.json",
    )
    assert provider(tmp_path)["role"] == "csaf_trusted_provider"
