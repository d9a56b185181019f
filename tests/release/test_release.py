"""Build, sign, hand over: what goes into firmware, and who may sign it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import CryptoSigner
from tests.vendor.weakening import weaken
from tuf.api.metadata import Metadata, Targets

from limpet.cli.main import run
from limpet.crypto.keys import generate_signing_key, key_to_pem
from limpet.errors import Rejected, Unavailable
from limpet.firmware.image import range_reader
from limpet.firmware.installation import install_image
from limpet.firmware.tree import digest_tree
from limpet.release import (
    BuildOrder,
    Built,
    SigningOrder,
    build_release,
    default_keys,
    load_built,
    publish,
    sign_release,
    sign_support,
)
from limpet.vendor.home import Home, create
from limpet.vendor.repository import Repository
from limpet.wire.release import Bounds
from limpet.wire.support import AfterSupport, SupportStatement

EXAMPLE = Path(__file__).parents[2] / "examples" / "thermostat"
NOW = datetime.now(UTC).replace(microsecond=0)
BOUNDS = Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=1_000_000)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A small copy, so that a test may spoil it."""
    copy = tmp_path / "product"
    (copy / "app" / "thermostat").mkdir(parents=True)
    shutil.copy(EXAMPLE / "product.toml", copy)
    (copy / "app" / "thermostat" / "__init__.py").write_text('"""An app."""\n')
    return copy


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create(tmp_path / "vendor", EXAMPLE, now=NOW)


def order(product: Path, home: Home, version: str = "1.0.0") -> BuildOrder:
    return BuildOrder(
        product=product,
        trust=home.trust,
        version=version,
        security_counter=1,
        interface_version=1,
        bounds=BOUNDS,
        built_at=NOW,
    )


def signing(home: Home, *keys: Path, passphrase: bytes | None = None) -> SigningOrder:
    return SigningOrder(
        repository=home.repository,
        root=home.trust / "root.json",
        keys=keys or tuple(default_keys(home.offline, "thermostat")),
        passphrase=passphrase,
    )


@pytest.fixture
def built(product: Path, home: Home, tmp_path: Path) -> Built:
    return build_release(order(product, home), tmp_path / "out")


def install(built: Built, slot: Path) -> Path:
    install_image(
        built.manifest.image,
        range_reader(built.image),
        slot,
        journal=slot.with_name("journal"),
    )
    return slot


def test_a_firmware_holds_the_app_the_roots_and_only_the_code_that_a_device_needs(
    built: Built, tmp_path: Path
) -> None:
    slot = install(built, tmp_path / "slot")
    assert sorted(path.name for path in slot.iterdir()) == [
        "app", "firmware.json", "product.toml", "runtime", "trust",
    ]  # fmt: skip
    packages = {path.name for path in (slot / "runtime" / "limpet").iterdir()}
    assert packages == {
        "__init__.py", "py.typed", "errors.py", "storage.py",
        "crypto", "https", "product", "wire", "firmware", "device",
    }  # fmt: skip
    assert sorted(path.name for path in (slot / "trust").iterdir()) == [
        "device-root.pem", "root.json", "service-root.pem",
    ]  # fmt: skip
    assert not list(slot.rglob("*.pyc"))


def test_the_code_in_a_firmware_runs_without_the_installed_limpet(
    built: Built, tmp_path: Path
) -> None:
    """The image carries everything of limpet that the updater's own code imports."""
    slot = install(built, tmp_path / "slot")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import limpet.device.updater.role, limpet.device.gateway.role, limpet.device.boot;"
        "bad = [n for n, m in sys.modules.items() if n.startswith('limpet')"
        " and not m.__file__.startswith(sys.argv[1])]; print(bad)"
    )
    command = [sys.executable, "-I", "-B", "-c", program, str(slot / "runtime")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert found.stdout.strip() == "[]", found.stderr


def test_two_builds_with_the_same_time_are_equal(
    product: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    for file in product.rglob("*"):
        os.utime(file, (0, 0))
    again = build_release(order(product, home), tmp_path / "again")
    assert again.manifest_sha256 == built.manifest_sha256
    assert again.image.read_bytes() == built.image.read_bytes()


def test_what_editors_and_python_leave_behind_does_not_go_into_firmware(
    product: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    (product / "app" / "__pycache__").mkdir()
    (product / "app" / "__pycache__" / "x.pyc").write_bytes(b"x")
    (product / "app" / ".secret").write_text("x")
    again = build_release(order(product, home), tmp_path / "again")
    assert again.manifest.image == built.manifest.image


@pytest.mark.parametrize("kind", ["link", "key", "name"])
def test_what_must_not_be_in_firmware_stops_the_build(
    product: Path, home: Home, tmp_path: Path, kind: str
) -> None:
    match kind:
        case "link":
            (product / "app" / "passwd").symlink_to("/etc/passwd")
        case "key":
            (product / "app" / "debug.pem").write_bytes(key_to_pem(generate_signing_key()))
        case _:
            (product / "app" / "two words").write_text("x")
    with pytest.raises(Rejected) as refused:
        build_release(order(product, home), tmp_path / "out")
    assert refused.value.reason == "not-firmware"
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not list((tmp_path / "out").glob(".build-*"))


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", ""])
def test_a_version_that_cannot_be_ordered_is_refused(
    product: Path, home: Home, tmp_path: Path, version: str
) -> None:
    with pytest.raises(Rejected) as refused:
        build_release(order(product, home, version), tmp_path / "out")
    assert "1.2.0" in str(refused.value)


def test_a_release_is_never_built_over_another(product: Path, home: Home, built: Built) -> None:
    with pytest.raises(Unavailable):
        build_release(order(product, home), built.directory)


def test_a_changed_image_is_noticed_before_it_is_signed(built: Built, home: Home) -> None:
    with built.image.open("ab") as file:
        file.write(b"x")
    with pytest.raises(Rejected) as refused:
        sign_release(built.directory, signing(home), now=NOW)
    assert refused.value.reason == "tampered-image"


def test_a_signed_release_is_published_and_found_by_its_hash(built: Built, home: Home) -> None:
    signed = sign_release(built.directory, signing(home), now=NOW)
    assert (signed.version, signed.signatures, signed.threshold) == (2, 1, 1)
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
    thief = create(tmp_path / "thief", EXAMPLE, now=NOW)
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
    assert again.signatures == 1, "the same key counts once"
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
    home = create(tmp_path / "vendor", EXAMPLE, now=NOW, passphrase=b"correct horse")
    built = build_release(order(product, home), tmp_path / "out")
    for wrong in (None, b"battery"):
        with pytest.raises(Rejected) as refused:
            sign_release(built.directory, signing(home, passphrase=wrong), now=NOW)
        assert refused.value.reason == "bad-key"
        assert "battery" not in str(refused.value)
    sign_release(built.directory, signing(home, passphrase=b"correct horse"), now=NOW)


def test_a_support_statement_is_signed_and_published_like_a_release(
    home: Home, tmp_path: Path
) -> None:
    statement = SupportStatement(
        model="thermostat",
        until=NOW + timedelta(days=900),
        after=AfterSupport.KEEPS_WORKING_LOCALLY,
        text="Updates until then.",
        issued_at=NOW,
    )
    sign_support(statement, tmp_path / "support", signing(home), now=NOW)
    publish(tmp_path / "support", home.root, clock=now)
    assert Repository(home, now).support() == statement


def test_show_refuses_a_release_without_an_image(built: Built) -> None:
    built.image.unlink()
    with pytest.raises(Unavailable):
        load_built(built.directory)


# --- the command


def test_the_command_builds_signs_publishes_and_shows(
    tmp_path: Path, home: Home, product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    words = ["--trust", str(home.trust), "--version", "2.0.0", "--out", out]
    assert run(["release", "build", str(product), *words, "--largest-step", "10"]) == 0
    drawer = ["--offline", str(home.offline), "--repository", str(home.repository)]
    assert run(["release", "sign", out, *drawer]) == 0
    assert run(["release", "publish", out, "--vendor", str(home.root)]) == 0
    capsys.readouterr()
    assert run(["release", "show", out, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["bounds"]["largest_step_ppm"]) == ("2.0.0", 100_000)
    assert shown["tree_sha256"] == digest_tree(install(load_built(Path(out)), tmp_path / "slot"))


def test_the_command_states_support_until_the_end_of_the_day(
    tmp_path: Path, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", "thermostat", "--until", "2033-06-30", "--text", "Until June."]
    drawer = ["--offline", str(home.offline), "--repository", str(home.repository)]
    out = str(tmp_path / "support")
    assert run(["release", "support", *words, *drawer, "--out", out]) == 0
    assert run(["release", "publish", out, "--vendor", str(home.root)]) == 0
    statement = Repository(home, now).support()
    assert statement is not None
    assert statement.until == datetime(2033, 6, 30, 23, 59, 59, tzinfo=UTC)


def test_the_command_says_in_one_line_what_is_missing(
    tmp_path: Path, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--trust", str(tmp_path / "no"), "--version", "1.0.0", "--out", str(tmp_path / "o")]
    assert run(["release", "build", str(EXAMPLE), *words]) == 3
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert "Traceback" not in said


def test_a_source_date_fixes_the_build_time(
    tmp_path: Path, home: Home, product: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    out = tmp_path / "out"
    words = ["--trust", str(home.trust), "--version", "1.0.0", "--out", str(out)]
    assert run(["release", "build", str(product), *words]) == 0
    assert load_built(out).manifest.built_at == datetime.fromtimestamp(1_700_000_000, UTC)
