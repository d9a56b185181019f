"""Who may sign a release, what continues what, and what is published."""

import hashlib
import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import CryptoSigner
from tests.release.workshop import EXAMPLE, NOW, now, order, signing
from tests.vendor.weakening import weaken
from tuf.api.metadata import Metadata, Targets

from limpet.crypto.keys import generate_signing_key, key_to_pem
from limpet.errors import Rejected, Unavailable
from limpet.release import (
    Built,
    build_release,
    publish,
    sign_release,
    sign_support,
)
from limpet.vendor.home import Home, create
from limpet.vendor.repository import Repository
from limpet.wire.support import AfterSupport, SupportStatement
from limpet.wire.times import CLOCKS_DIFFER


def test_a_changed_image_is_noticed_before_it_is_signed(built: Built, home: Home) -> None:
    with built.image.open("ab") as file:
        file.write(b"x")
    with pytest.raises(Rejected) as refused:
        sign_release(built.directory, signing(home), now=NOW)
    assert refused.value.reason == "tampered-image"


def test_a_release_that_was_built_in_the_future_is_neither_signed_nor_published(
    built: Built, home: Home
) -> None:
    before = built.manifest.built_at - CLOCKS_DIFFER - timedelta(seconds=1)
    with pytest.raises(Rejected) as refused:
        sign_release(built.directory, signing(home), now=before)
    assert refused.value.reason == "bad-date"
    sign_release(built.directory, signing(home), now=NOW)
    with pytest.raises(Rejected) as refused:
        publish(built.directory, home.root, clock=lambda: before)
    assert refused.value.reason == "bad-date"
    assert Repository(home, now).releases() == ()
    assert publish(built.directory, home.root, clock=now), "the control: at its own time it is"


def test_a_signed_release_is_published_and_found_by_its_hash(built: Built, home: Home) -> None:
    signed = sign_release(built.directory, signing(home), now=NOW)
    assert (signed.version, signed.signatures, signed.threshold) == (2, 2, 2)
    assert signed.is_valid
    assert publish(built.directory, home.root, clock=now) == "thermostat 1.0.0"
    [published] = Repository(home, now).releases()
    assert published.manifest_sha256 == built.manifest_sha256
    name = home.repository / published.manifest.image.path
    assert f"images/{hashlib.sha256(name.read_bytes()).hexdigest()}.img" == (
        published.manifest.image.path
    )


def test_a_published_version_is_never_signed_again(
    built: Built, home: Home, product: Path, tmp_path: Path
) -> None:
    sign_release(built.directory, signing(home), now=NOW)
    publish(built.directory, home.root, clock=now)
    (product / "app" / "new.py").write_text("x = 1\n")
    other = build_release(order(product, home), tmp_path / "other")
    with pytest.raises(Rejected) as refused:
        sign_release(other.directory, signing(home), now=NOW)
    assert refused.value.reason == "already-published"


def test_a_key_that_the_role_does_not_name_cannot_sign(
    built: Built, home: Home, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(key_to_pem(generate_signing_key()))
    for key in (stranger, home.online / "rollout-thermostat.pem"):
        with pytest.raises(Rejected) as refused:
            sign_release(built.directory, signing(home, key), now=NOW)
        assert refused.value.reason == "wrong-key"
    assert not (built.directory / "releases.json").exists()


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 3072),
        ec.generate_private_key(ec.SECP256R1()),
        ed448.Ed448PrivateKey.generate(),
    ],
    ids=["rsa-3072", "p-256", "ed448"],
)
def test_a_key_of_another_scheme_signs_nothing(
    built: Built, home: Home, tmp_path: Path, key: PrivateKeyTypes
) -> None:
    file = tmp_path / "weak.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(Rejected) as refused:
        sign_release(built.directory, signing(home, file), now=NOW)
    assert refused.value.reason == "weak-key"
    assert "weak.pem" in refused.value.message
    assert not (built.directory / "releases.json").exists()


@pytest.mark.parametrize("role", ["root", "releases"])
def test_nothing_is_signed_beside_a_weak_key_that_devices_would_refuse(
    built: Built, home: Home, role: str
) -> None:
    """A sound key of the role, but the delegation names an RSA key too, validly signed."""
    weaken(home, role, CryptoSigner.generate_rsa())
    with pytest.raises(Rejected) as refused:
        sign_release(built.directory, signing(home), now=NOW)
    assert refused.value.reason == "weak-key"
    assert not (built.directory / "releases.json").exists()


def test_an_unsigned_release_is_not_published(built: Built, home: Home) -> None:
    with pytest.raises(Unavailable) as refused:
        publish(built.directory, home.root, clock=now)
    assert "sign" in refused.value.hint


def test_a_signature_that_was_tampered_with_is_not_published(built: Built, home: Home) -> None:
    sign_release(built.directory, signing(home), now=NOW)
    file = built.directory / "releases.json"
    data = json.loads(file.read_bytes())
    data["signed"]["expires"] = "2099-01-01T00:00:00Z"
    file.write_text(json.dumps(data))
    with pytest.raises(Rejected) as refused:
        publish(built.directory, home.root, clock=now)
    assert refused.value.reason == "bad-signature"
    assert Repository(home, now).releases() == ()


def test_signing_beside_a_repository_that_a_thief_runs_is_refused(
    built: Built, home: Home, tmp_path: Path
) -> None:
    """The signer trusts the root in their own hands, not what the server shows."""
    thief = create(tmp_path / "thief", EXAMPLE, now=NOW, unsafe_without_gate=True)
    shutil.rmtree(home.repository)
    shutil.copytree(thief.repository, home.repository)
    with pytest.raises(Rejected) as refused:
        sign_release(built.directory, signing(home), now=NOW)
    assert refused.value.reason == "bad-repository"


def test_a_second_signer_adds_to_the_first_and_keeps_what_was_signed(
    built: Built, home: Home
) -> None:
    sign_release(built.directory, signing(home), now=NOW)
    first = (built.directory / "releases.json").read_bytes()
    again = sign_release(built.directory, signing(home), now=NOW + timedelta(days=3))
    assert again.signatures == 2, "the same key counts once"
    before, after = (
        Metadata[Targets].from_bytes(data).signed
        for data in (first, (built.directory / "releases.json").read_bytes())
    )
    assert before == after


def test_what_another_signer_began_is_signed_only_as_far_as_one_would_begin_it(
    built: Built, home: Home
) -> None:
    """A first signer who stretches the expiry, or smuggles a target in, signs alone."""
    for spoil in ("expiry", "target"):
        sign_release(built.directory, signing(home), now=NOW)
        file = built.directory / "releases.json"
        metadata = Metadata[Targets].from_bytes(file.read_bytes())
        if spoil == "expiry":
            metadata.signed.expires += timedelta(days=9999)
        else:
            metadata.signed.targets["firmware/thermostat/9.9.9.json"] = next(
                iter(metadata.signed.targets.values())
            )
        file.write_bytes(metadata.to_bytes())
        sign_release(built.directory, signing(home), now=NOW)
        signed = Metadata[Targets].from_bytes(file.read_bytes()).signed
        assert signed.expires <= NOW + timedelta(days=365)
        assert list(signed.targets) == ["firmware/thermostat/1.0.0.json"]


def test_an_encrypted_key_needs_its_passphrase(tmp_path: Path, product: Path) -> None:
    home = create(
        tmp_path / "vendor", EXAMPLE, now=NOW, unsafe_without_gate=True, passphrase=b"correct horse"
    )
    built = build_release(order(product, home), tmp_path / "out")
    for wrong in (None, b"battery"):
        with pytest.raises(Rejected) as refused:
            sign_release(built.directory, signing(home, passphrase=wrong), now=NOW)
        assert refused.value.reason == "bad-key"
        assert "battery" not in str(refused.value)
    sign_release(built.directory, signing(home, passphrase=b"correct horse"), now=NOW)


def promise_of(days: int) -> SupportStatement:
    """Support for so many days from now on."""
    return SupportStatement(
        model="thermostat",
        until=NOW + timedelta(days=days),
        after=AfterSupport.KEEPS_WORKING_LOCALLY,
        text="Updates until then.",
        issued_at=NOW,
    )


def test_a_support_statement_is_signed_and_published_like_a_release(
    home: Home, tmp_path: Path
) -> None:
    statement = promise_of(900)
    sign_support(statement, tmp_path / "support", signing(home), now=NOW)
    publish(tmp_path / "support", home.root, clock=now)
    assert Repository(home, now).support() == statement


def test_releases_follow_each_other_with_a_support_statement_between_them(
    built: Built, home: Home, product: Path, tmp_path: Path
) -> None:
    sign_release(built.directory, signing(home), now=NOW)
    publish(built.directory, home.root, clock=now)
    sign_support(promise_of(900), tmp_path / "support", signing(home), now=NOW)
    publish(tmp_path / "support", home.root, clock=now)
    later = build_release(order(product, home, "1.1.0"), tmp_path / "later")
    sign_release(later.directory, signing(home), now=NOW)
    assert publish(later.directory, home.root, clock=now) == "thermostat 1.1.0"


def test_a_published_end_of_support_comes_nearer_only_for_who_says_so(
    home: Home, tmp_path: Path
) -> None:
    def promise(days: int, *, shorten: bool = False) -> None:
        out = tmp_path / f"{days}"
        sign_support(promise_of(days), out, signing(home), now=NOW, shorten=shorten)
        publish(out, home.root, clock=now)

    promise(900)
    with pytest.raises(Rejected, match="was promised") as refused:
        promise(899)
    assert refused.value.reason == "bad-date"
    assert not (tmp_path / "899").exists()
    promise(901)
    promise(899, shorten=True)
    published = Repository(home, now).support()
    assert published is not None
    assert published.until == NOW + timedelta(days=899)


def test_an_end_of_support_that_is_past_is_a_slip_and_not_signed(
    home: Home, tmp_path: Path
) -> None:
    statement = SupportStatement(
        model="thermostat",
        until=NOW - timedelta(seconds=1),
        after=AfterSupport.STOPS_REMOTE_FUNCTIONS,
        text="Updates until then.",
        issued_at=NOW,
    )
    with pytest.raises(Rejected) as refused:
        sign_support(statement, tmp_path / "support", signing(home), now=NOW)
    assert refused.value.reason == "bad-date"
    assert not (tmp_path / "support").exists()
