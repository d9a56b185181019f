"""Bundles of RAUC's before the gate: those of one image are judged, and no other passes."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.needs import needs
from tests.release.gate.bench import Bench
from tests.release.gate.bundles import MANIFEST, PROGRAMS, Bundles, split

from limpet.cli.main import run
from limpet.errors import Rejected, Unavailable
from limpet.release import Form, load_built
from limpet.release._bundle import embedded_content, read_manifest
from limpet.release.gate import Verdict, open_subject

pytestmark = needs(*PROGRAMS, package="rauc squashfs-tools openssl", untried="no bundle was judged")
PLAIN, VERITY = MANIFEST.format(more=""), MANIFEST.format(more="\n[bundle]\nformat=verity\n")
HOOKS = "\n[hooks]\nfilename=hook.sh\nhooks=install-check\n"
SCRIPT = "#!/bin/sh\nexit 0\n"


@pytest.fixture(scope="module")
def made(sound: Bench, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Bundles, Path]:
    """The sound product as a bundle that its own packer made, RAUC's keys, and the block image."""
    bench = sound.copy(tmp_path_factory.mktemp("bundles") / "bench")
    bundles = Bundles.found(bench.work / "rauc")
    raw = bench.work / "raw.img"
    bundles.introduce(bench)
    bench.rebuild("Keep RAUC", form=Form.BUNDLE, packer=bundles.packer(kept=raw))
    return bench, bundles, raw


@pytest.fixture
def bench(made: tuple[Bench, Bundles, Path], tmp_path: Path) -> Bench:
    """A copy to spoil."""
    return made[0].copy(tmp_path / "bench")


@pytest.fixture
def bundles(made: tuple[Bench, Bundles, Path]) -> Bundles:
    return made[1]


@pytest.fixture
def raw(made: tuple[Bench, Bundles, Path], tmp_path: Path) -> Path:
    """The block image that lies in the bundle, to spoil."""
    return Path(shutil.copy(made[2], tmp_path))


def unsound(bench: Bench) -> list[tuple[str, Verdict]]:
    """The rules that do not pass."""
    return [
        (one.rule, one.finding.verdict)
        for one in bench.judge().judgements
        if one.finding.verdict is not Verdict.PASSED
    ]


def refusal(bench: Bench) -> Rejected | Unavailable:
    """Why the gate does not even begin."""
    with (
        pytest.raises((Rejected, Unavailable)) as caught,
        open_subject(bench.product, bench.release, now=bench.now),
    ):
        raise AssertionError("it was opened")
    return caught.value


# --- what passes


def test_a_bundle_of_one_image_passes_as_a_tree_does(bench: Bench) -> None:
    assert unsound(bench) == []


def test_a_bundle_of_the_format_verity_passes_as_well(
    bench: Bench, bundles: Bundles, raw: Path
) -> None:
    bundle = bundles.bundle(bundles.content(raw, manifest=VERITY))
    assert split(bundle)[1] is not None, "its manifest lies in the signature"
    bundles.release(bench, bundle)
    bundles.bill(bench)
    assert unsound(bench) == []


def test_a_keyring_for_code_takes_a_signature_for_code_and_no_other(
    bench: Bench, bundles: Bundles, raw: Path
) -> None:
    shutil.copy(bundles.work / "code.pem", bench.product / "rauc-keyring.pem")
    bundles.release(bench, bundles.bundle(bundles.content(raw), key="code"))
    assert "unsuitable certificate purpose" in refusal(bench).message
    bench.replace("product.toml", 'compatible = "', 'purpose = "codesign"\ncompatible = "')
    with open_subject(bench.product, bench.release, now=bench.now) as subject:
        assert (subject.tree / "firmware.json").is_file()
    shutil.copy(bundles.work / "own.pem", bench.product / "rauc-keyring.pem")
    assert "RAUC does not take this bundle" in refusal(bench).message


# --- what lies in the image


def test_a_secret_in_a_bundle_is_refused_by_the_rule_that_it_breaks(
    bench: Bench, bundles: Bundles
) -> None:
    service = "app/thermostat/service.py"
    (bench.product / service).write_text('SERVICE_PASSWORD = "th3rm0-service"\n')
    bench.build("1.1.0", "other", form=Form.BUNDLE, packer=bundles.packer())
    (bench.product / service).unlink()
    shutil.rmtree(bench.release)
    (bench.work / "other").rename(bench.release)
    assert sorted(unsound(bench)) == [
        ("secrets-absent", Verdict.REFUSED),
        ("source-committed", Verdict.REFUSED),
    ]


# --- what is more than one image


@pytest.mark.parametrize(
    ("manifest", "files", "words"),
    [
        (PLAIN, {"more.sh": SCRIPT}, "more in this bundle than its image (more.sh)"),
        (PLAIN.replace("\n[image", HOOKS + "\n[image"), {"hook.sh": SCRIPT}, "has [hooks]"),
        (
            f"{PLAIN}hooks=post-install\n".replace("\n[image", HOOKS + "\n[image"),
            {"hook.sh": SCRIPT},
            "has [hooks]",
        ),
        (
            PLAIN.replace("\n[image", "\n[handler]\nfilename=all.sh\n\n[image"),
            {"all.sh": SCRIPT},
            "has [handler]",
        ),
        (
            f"{PLAIN}\n[image.bootloader]\nfilename=boot.img\n",
            {"boot.img": "boot"},
            "it holds 2 images",
        ),
        (
            VERITY.replace("\n[image", HOOKS + "\n[image"),
            {"hook.sh": SCRIPT},
            "has [hooks]",
        ),
        (f"{VERITY}adaptive=block-hash-index\n", {}, "sets adaptive in [image]"),
    ],
    ids=["file", "hook", "slot hook", "handler", "two images", "verity with hook", "adaptive"],
)
def test_a_bundle_of_more_than_one_image_is_inconclusive_and_says_what_more_it_is(
    bench: Bench,
    bundles: Bundles,
    raw: Path,
    manifest: str,
    files: dict[str, str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each by the real RAUC: what is not judged is what it runs or writes besides."""
    bundles.release(bench, bundles.bundle(bundles.content(raw, manifest=manifest, files=files)))
    assert run(["release", "check", str(bench.product), "--release", str(bench.release)]) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "inconclusive: the gate cannot judge this bundle: " in said
    assert words in said
    assert "hint:" in said
    assert not (bench.release / "gate.json").exists()


def test_a_hook_in_the_signed_manifest_counts_though_the_file_beside_the_image_has_none(
    bench: Bench, bundles: Bundles, raw: Path
) -> None:
    """RAUC goes by the manifest in the signature; the file of the same name is for nobody."""
    payload, manifest = split(bundles.bundle(bundles.content(raw, manifest=VERITY)))
    assert manifest is not None
    bundles.release(bench, bundles.sign(payload, manifest=manifest))
    with open_subject(bench.product, bench.release, now=bench.now) as subject:
        assert any(subject.tree.iterdir()), "the control: signed like this, it is taken"
    bundles.release(bench, bundles.sign(payload, manifest=manifest + HOOKS.encode()))
    found = refusal(bench)
    assert isinstance(found, Unavailable)
    assert "has [hooks]" in found.message


def test_an_image_that_rauc_would_unpack_or_stretch_is_inconclusive(
    bench: Bench, bundles: Bundles, raw: Path
) -> None:
    content = bundles.content(raw, manifest=PLAIN.replace("rootfs.img", "rootfs.ext4"))
    (content / "rootfs.img").rename(content / "rootfs.ext4")
    bundles.release(bench, bundles.bundle(content))
    assert "may not write rootfs.ext4 as it is" in refusal(bench).message


# --- another image, another signer, another device


def flip(place: int) -> Callable[[bytes], bytes]:
    """One bit of a file."""
    return lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "change",
    [flip(1 << 20), flip(-1), lambda data: data + bytes(4096), lambda data: data[:-4096]],
    ids=["data", "hash tree", "longer", "shorter"],
)
def test_an_image_that_is_not_the_one_of_the_build_is_refused(
    bench: Bench, bundles: Bundles, raw: Path, change: Callable[[bytes], bytes]
) -> None:
    """By whoever has RAUC's key and not limpet's: the bundle is sound for RAUC."""
    raw.write_bytes(change(raw.read_bytes()))
    bundles.release(bench, bundles.bundle(bundles.content(raw)))
    found = refusal(bench)
    assert isinstance(found, Rejected)
    assert found.reason == "tampered-blocks"


def test_an_image_that_is_not_the_one_of_the_bundles_manifest_is_refused(
    bench: Bench, bundles: Bundles, raw: Path
) -> None:
    lie = f"{PLAIN}sha256={'0' * 64}\nsize={raw.stat().st_size}\n"
    bundles.release(bench, bundles.sign(bundles.squash(bundles.content(raw, manifest=lie))))
    found = refusal(bench)
    assert isinstance(found, Rejected)
    assert found.reason == "tampered-image"


def test_an_image_that_is_a_link_is_refused(bench: Bench, bundles: Bundles, raw: Path) -> None:
    lie = f"{PLAIN}sha256={'0' * 64}\nsize=1\n"
    content = bundles.content(raw, manifest=lie)
    (content / "rootfs.img").unlink()
    (content / "rootfs.img").symlink_to("/etc/passwd")
    bundles.release(bench, bundles.sign(bundles.squash(content)))
    found = refusal(bench)
    assert isinstance(found, Rejected)
    assert "does not hold rootfs.img" in found.message


@pytest.mark.parametrize("manifest", [PLAIN, VERITY], ids=["plain", "verity"])
def test_a_bundle_that_was_changed_after_it_was_signed_is_refused_by_rauc(
    bench: Bench, bundles: Bundles, raw: Path, manifest: str
) -> None:
    bundle = bundles.bundle(bundles.content(raw, manifest=manifest))
    bundle.write_bytes(flip(bundle.stat().st_size // 2)(bundle.read_bytes()))
    bundles.release(bench, bundle)
    found = refusal(bench)
    assert isinstance(found, Rejected)
    assert found.reason == "rauc-refused"


def test_a_bundle_of_another_signer_is_refused_in_raucs_words(
    bench: Bench, bundles: Bundles, raw: Path
) -> None:
    bundles.release(bench, bundles.bundle(bundles.content(raw), key="foreign"))
    found = refusal(bench)
    assert isinstance(found, Rejected)
    assert found.reason == "rauc-refused"
    assert "signature verification failed" in found.message
    assert "rauc-keyring.pem" in found.message


@pytest.mark.parametrize(
    "manifest",
    [PLAIN.replace("=thermostat", "=doorbell"), PLAIN.replace("image.rootfs", "image.bootloader")],
    ids=["compatible", "slot"],
)
def test_a_bundle_for_other_devices_or_other_slots_is_refused(
    bench: Bench, bundles: Bundles, raw: Path, manifest: str
) -> None:
    bundles.release(bench, bundles.bundle(bundles.content(raw, manifest=manifest)))
    found = refusal(bench)
    assert isinstance(found, Rejected)
    assert found.reason == "wrong-bundle"


@pytest.mark.parametrize("content", [b"", b"hsqs", bytes(4096), b"hsqs" + bytes(4096)])
def test_what_is_no_bundle_is_refused(bench: Bench, bundles: Bundles, content: bytes) -> None:
    file = bundles.work / "made.raucb"
    file.unlink(missing_ok=True)
    file.write_bytes(content or b"\0")
    bundles.release(bench, file)
    assert isinstance(refusal(bench), Rejected)


# --- what is not known


def test_a_product_that_does_not_say_whose_bundles_its_devices_take_is_inconclusive(
    bench: Bench,
) -> None:
    design = bench.product / "product.toml"
    design.write_text(design.read_text().partition("[development.rauc]")[0])
    found = refusal(bench)
    assert isinstance(found, Unavailable)
    assert "does not say whose bundles" in found.message
    assert "[development.rauc]" in found.hint


def test_a_keyring_that_is_missing_or_a_link_or_none_passes_nothing(bench: Bench) -> None:
    keyring = bench.product / "rauc-keyring.pem"
    true = keyring.read_bytes()
    keyring.write_text("no certificate")
    assert "rauc-keyring.pem" in refusal(bench).message
    keyring.unlink()
    assert isinstance(refusal(bench), Unavailable)
    (bench.work / "elsewhere.pem").write_bytes(true)
    keyring.symlink_to(bench.work / "elsewhere.pem")
    assert "is a link" in refusal(bench).message


def test_a_machine_without_rauc_is_told_what_to_install(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpet.release._tools.shutil.which", lambda name: None)
    found = refusal(bench)
    assert isinstance(found, Unavailable)
    assert "apt-get install rauc" in found.hint


def test_the_bill_of_a_bundle_is_compared_without_its_keyring(bench: Bench) -> None:
    bill = str(load_built(bench.release).sbom)
    assert run(["release", "sbom", bill, "--against", str(bench.release)]) == 0


# --- the two parsers

SOUND = f"{PLAIN}sha256={'ab' * 32}\nsize=4096\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{SOUND}size=1\n",
        f"{SOUND}\n[update]\ncompatible=other\n",
        f"{SOUND}\n[image.rootfs]\n",
        f"key=value\n{SOUND}",
        SOUND.replace("filename=", "filename ="),
        SOUND.replace("filename=", "filename[de]="),
        SOUND.replace("=thermostat", "=thermo\\sstat"),
        SOUND.replace("=thermostat", "= thermostat"),
        SOUND.replace("[update]", " [update]"),
        SOUND.replace("\n", "\r\n"),
        f"{SOUND}\n[meta.more]\nx=1\n",
        f"{SOUND}variant=big\n",
        SOUND.replace("[image.rootfs]", "[bundle]\nformat=verity\n[image.rootfs]"),
        SOUND.replace("[image.rootfs]", "[bundle]\nformat=crypt\n[image.rootfs]"),
        "",
    ],
)
def test_a_manifest_that_two_readers_could_understand_in_two_ways_is_not_understood(
    text: str,
) -> None:
    assert read_manifest(SOUND.encode(), verity=False).size == 4096
    with pytest.raises(Unavailable, match="cannot judge this bundle"):
        read_manifest(text.encode(), verity=False)


@pytest.mark.parametrize(
    "name", ["../rootfs.img", "/etc/passwd.img", ".img", "manifest.raucm", "a/b.img"]
)
def test_an_image_lies_beside_its_manifest(name: str) -> None:
    with pytest.raises(Rejected, match="names no image"):
        read_manifest(SOUND.replace("rootfs.img", name).encode(), verity=False)


@given(st.binary(max_size=200))
def test_whatever_lies_in_a_bundle_is_read_or_refused(data: bytes) -> None:
    for wanted in (True, False):
        try:
            read_manifest(data, verity=wanted)
        except (Rejected, Unavailable):
            continue
        raise AssertionError("random bytes are no manifest")
    try:
        embedded_content(data)
    except Rejected:
        return
    raise AssertionError("random bytes are no signature")


@given(st.integers(0, 80), st.integers(0, 255))
def test_a_spoilt_signature_is_read_or_refused(place: int, value: int) -> None:
    oid = bytes.fromhex("2a864886f70d010702")
    inner = b"\x30\x16\x06\x09" + oid[:-1] + b"\x01" + b"\xa0\x09\x04\x07content"
    signed = b"\x02\x01\x01\x31\x00" + inner
    signed = b"\x30" + bytes([len(signed)]) + signed
    outer = b"\x06\x09" + oid + b"\xa0" + bytes([len(signed)]) + signed
    whole = b"\x30" + bytes([len(outer)]) + outer
    assert embedded_content(whole) == b"content"
    place %= len(whole)
    with contextlib.suppress(Rejected):
        embedded_content(whole[:place] + bytes([value]) + whole[place + 1 :])
