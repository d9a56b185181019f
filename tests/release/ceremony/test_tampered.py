"""Requests that were changed on their way, or forged: each is refused, in words, before a key is
opened. Every attack has the honest request as its control (`test_releases`, `test_holders`)."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from securesystemslib.signer import CryptoSigner
from tests.release.ceremony.people import (
    FAMILIES,
    Person,
    ask,
    finish,
    naming,
    now,
    person,
    propose,
    release,
    silent,
)
from tests.release.workshop import EXAMPLE
from tests.vendor.workshop import ANY_STEP, make_manifest
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from limpet.errors import Rejected
from limpet.release.ceremony import (
    Holders,
    SigningRequest,
    load_request,
    merge_requests,
    save_request,
    sign_request,
)
from limpet.vendor.home import Home, create
from limpet.wire.codec import encode_json
from limpet.wire.release import manifest_path

ROLE = "releases/thermostat"
Attack = Callable[[SigningRequest], SigningRequest]


def refusal(request: SigningRequest, one: Person, *, holders: bool = False) -> str:
    """The reason why `one` signs it not; the file stays as it is, and no key is opened."""
    file = one.directory / "attacked.request"
    save_request(request, file)
    before, memory = file.read_bytes(), (one.directory / "signed.json").read_bytes()

    def unasked(suite: object) -> list[object]:
        raise AssertionError("keys were opened")

    with pytest.raises(Rejected) as refused:
        sign_request(
            file,
            root=one.root,
            holders=holders,
            signers=unasked,  # type: ignore[arg-type]
            confirm=silent,
            now=now(),
        )
    assert file.read_bytes() == before
    assert (one.directory / "signed.json").read_bytes() == memory
    return refused.value.reason


def edited(request: SigningRequest, edit: Callable[[Targets], None]) -> SigningRequest:
    metadata = Metadata[Targets].from_bytes(request.proposed[ROLE])
    edit(metadata.signed)
    return replace(request, proposed={ROLE: metadata.to_bytes()})


def other_bounds(request: SigningRequest) -> SigningRequest:
    """Shown are gentle bounds; the metadata signs those of before."""
    bounds = replace(ANY_STEP, minimum_duration_seconds=30 * 86400, largest_step_ppm=10_000)
    return replace(request, subject=encode_json(make_manifest(b"an image", "1.0.0", bounds=bounds)))


def other_model(request: SigningRequest) -> SigningRequest:
    manifest = encode_json(make_manifest(b"an image", "1.0.0", model="doorbell"))
    return replace(request, subject=manifest)


def one_target_more(request: SigningRequest) -> SigningRequest:
    def smuggle(signed: Targets) -> None:
        path = manifest_path("thermostat", "9.9.9")
        signed.targets[path] = TargetFile.from_data(path, b"evil", ["sha256"])

    return edited(request, smuggle)


def a_weaker_hash(request: SigningRequest) -> SigningRequest:
    path = manifest_path("thermostat", "1.0.0")

    def weaken(signed: Targets) -> None:
        signed.targets[path] = TargetFile.from_data(path, request.subject, ["sha256", "sha512"])

    return edited(request, weaken)


def delegating(request: SigningRequest) -> SigningRequest:
    def delegate(signed: Targets) -> None:
        found = Metadata[Targets].from_bytes(request.current["targets"])
        signed.delegations = found.signed.delegations

    return edited(request, delegate)


def _set(name: str, value: object) -> Attack:
    return lambda request: edited(request, lambda signed: setattr(signed, name, value))


def a_field_that_nobody_knows(request: SigningRequest) -> SigningRequest:
    return edited(request, lambda signed: signed.unrecognized_fields.update({"x-note": 1}))


def two_roles(request: SigningRequest) -> SigningRequest:
    proposed = {**request.proposed, "targets": request.current["targets"]}
    return replace(request, proposed=proposed)


def an_invented_past(request: SigningRequest) -> SigningRequest:
    return replace(request, before=encode_json(make_manifest(b"older", "0.9.0")))


def without_a_root(request: SigningRequest) -> SigningRequest:
    return replace(request, roots=request.roots[:1])


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (other_bounds, "tampered"),
        (other_model, "wrong-model"),
        (one_target_more, "bad-metadata"),
        (a_weaker_hash, "tampered"),
        (delegating, "bad-metadata"),
        (_set("version", 2), "wrong-version"),
        (_set("version", 9), "wrong-version"),
        (_set("expires", now().replace(microsecond=0) + timedelta(days=9999)), "expired-metadata"),
        (_set("expires", now().replace(microsecond=0) - timedelta(days=1)), "expired-metadata"),
        (_set("spec_version", "1.0.1"), "bad-metadata"),
        (a_field_that_nobody_knows, "bad-metadata"),
        (two_roles, "malformed"),
        (an_invented_past, "tampered"),
        (without_a_root, "rollback"),
        (lambda request: replace(request, kind="revocation"), "malformed"),
        (lambda request: replace(request, kind="holders"), "other-kind"),
        (lambda request: replace(request, current={}), "malformed"),
    ],
)
def test_a_changed_request_is_refused_with_its_reason(
    home: Home, place: Path, first: Person, attack: Attack, reason: str
) -> None:
    honest = load_request(ask(home, release(place / "out", "1.0.0"), place / "r.request"))
    assert refusal(attack(honest), first) == reason


def test_what_was_changed_after_a_signature_is_refused_and_the_signature_named(
    home: Home, place: Path, first: Person, second: Person
) -> None:
    request = ask(home, release(place / "out", "1.0.0"), place / "r.request")
    signed = load_request(first.sign(request))
    soon = now().replace(microsecond=0) + timedelta(days=300)
    changed = edited(signed, lambda targets: setattr(targets, "expires", soon))
    assert refusal(changed, second) == "bad-signature"
    metadata = Metadata[Targets].from_bytes(signed.proposed[ROLE])
    metadata.sign(CryptoSigner.generate_ed25519(), append=True)
    strange = replace(signed, proposed={ROLE: metadata.to_bytes()})
    assert refusal(strange, second) == "bad-signature"
    with pytest.raises(Rejected) as refused:
        merge_requests([signed, changed])
    assert refused.value.reason == "other-request"


def test_another_vendors_request_and_a_root_that_only_its_maker_signed_are_refused(
    home: Home, place: Path, first: Person, tmp_path: Path
) -> None:
    honest = load_request(ask(home, release(place / "out", "1.0.0"), place / "r.request"))
    thief = create(tmp_path / "thief", EXAMPLE, now=now().replace(microsecond=0))
    forged = Metadata[Root].from_bytes(honest.roots[-1])
    forged.signed.version += 1
    signer = CryptoSigner.generate_ed25519()
    forged.signed.add_key(signer.public_key, "root")
    forged.sign(signer)
    assert refusal(replace(honest, roots=(*honest.roots, forged.to_bytes())), first) == (
        "bad-signature"
    )
    shutil.copy(thief.trust / "root.json", first.root)
    assert refusal(honest, first) == "other-root"


def test_a_lower_security_counter_and_a_published_version_are_refused(
    home: Home, place: Path, first: Person, second: Person
) -> None:
    out = release(place / "old", "1.0.0", counter=5)
    request = ask(home, out, place / "old.request")
    finish(home, out, [first.sign(request), second.sign(request)])
    lower = ask(home, release(place / "new", "1.1.0", counter=4), place / "new.request")
    assert refusal(load_request(lower), first) == "lower-counter"
    hidden = replace(load_request(lower), before=b"")
    assert refusal(hidden, first) == "tampered"
    older = encode_json(make_manifest(b"an image", "1.1.0", counter=3))
    assert refusal(replace(load_request(lower), before=older), first) == "tampered"


def test_a_signer_remembers_and_signs_no_second_content_and_no_older_state(
    home: Home, place: Path, first: Person, second: Person
) -> None:
    out = release(place / "one", "1.0.0")
    old_state = ask(home, out, place / "one.request")
    rival = ask(home, release(place / "two", "2.0.0"), place / "two.request")
    signed = first.sign(old_state)
    first.sign(old_state)  # the same content, as often as one likes
    with pytest.raises(Rejected) as refused:
        first.sign(rival)
    assert refused.value.reason == "signed-before"
    first.sign(rival, again=True)  # meant: the other one was given up
    finish(home, out, [signed, second.sign(old_state)])
    following = ask(home, release(place / "three", "1.1.0"), place / "three.request")
    first.sign(following)
    with pytest.raises(Rejected) as refused:
        first.sign(rival, again=True)
    assert refused.value.reason == "rollback"


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 64, b"[" * 100_000])
def test_what_is_no_request_is_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "no.request"
    file.write_bytes(data)
    with pytest.raises(Rejected) as refused:
        load_request(file)
    assert refused.value.reason == "malformed"


def test_an_endless_request_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "endless.request"
    with file.open("wb") as writer:
        writer.truncate(1 << 34)  # 16 GiB that take no space
    with pytest.raises(Rejected) as refused:
        load_request(file)
    assert refused.value.reason == "too-large"


def _root(request: SigningRequest, edit: Callable[[Root], None]) -> SigningRequest:
    metadata = Metadata[Root].from_bytes(request.proposed["root"])
    edit(metadata.signed)
    return replace(request, proposed={**request.proposed, "root": metadata.to_bytes()})


def _targets(request: SigningRequest, edit: Callable[[Targets], None]) -> SigningRequest:
    metadata = Metadata[Targets].from_bytes(request.proposed["targets"])
    edit(metadata.signed)
    return replace(request, proposed={**request.proposed, "targets": metadata.to_bytes()})


def another_timestamp_key(request: SigningRequest) -> SigningRequest:
    key = CryptoSigner.generate_ed25519().public_key
    return _root(request, lambda root: root.add_key(key, "timestamp"))


def a_false_id(request: SigningRequest) -> SigningRequest:
    """A key of the attacker's under the id that people compare by telephone."""

    def swap(root: Root) -> None:
        keyid = root.roles["root"].keyids[-1]
        fields = CryptoSigner.generate_ed25519().public_key.to_dict()
        root.keys[keyid] = type(root.keys[keyid]).from_dict(keyid, fields)

    return _root(request, swap)


def an_rsa_key(request: SigningRequest) -> SigningRequest:
    key = CryptoSigner.generate_rsa().public_key
    return _root(request, lambda root: root.add_key(key, "root"))


def a_threshold_that_nobody_meets(request: SigningRequest) -> SigningRequest:
    return _root(request, lambda root: setattr(root.roles["root"], "threshold", 40))


def one_family_only(request: SigningRequest) -> SigningRequest:
    def drop(root: Root) -> None:
        for keyid in list(root.roles["targets"].keyids):
            if root.keys[keyid].scheme != FAMILIES[0]:
                root.revoke_key(keyid, "targets")
        root.roles["targets"].threshold = 2

    return _root(request, drop)


def other_paths(request: SigningRequest) -> SigningRequest:
    def widen(targets: Targets) -> None:
        assert targets.delegations is not None
        assert targets.delegations.roles is not None
        targets.delegations.roles[ROLE].paths = ["firmware/*"]

    return _targets(request, widen)


def another_rollout_key(request: SigningRequest) -> SigningRequest:
    key = CryptoSigner.generate_ed25519().public_key
    return _targets(request, lambda targets: targets.add_key(key, "rollout/thermostat"))


def a_target_of_its_own(request: SigningRequest) -> SigningRequest:
    path = manifest_path("thermostat", "9.9.9")
    file = TargetFile.from_data(path, b"evil", ["sha256"])
    return _targets(request, lambda targets: targets.targets.update({path: file}))


def not_signed_anew(request: SigningRequest) -> SigningRequest:
    kept = {role: data for role, data in request.proposed.items() if role != ROLE}
    return replace(request, proposed=kept)


def a_release_beside(request: SigningRequest) -> SigningRequest:
    metadata = Metadata[Targets].from_bytes(request.proposed[ROLE])
    path = manifest_path("thermostat", "9.9.9")
    metadata.signed.targets[path] = TargetFile.from_data(path, b"evil", ["sha256"])
    return replace(request, proposed={**request.proposed, ROLE: metadata.to_bytes()})


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (another_timestamp_key, "bad-metadata"),
        (a_false_id, "bad-metadata"),
        (an_rsa_key, "weak-key"),
        (a_threshold_that_nobody_meets, "unreachable"),
        (one_family_only, "unreachable"),
        (other_paths, "bad-metadata"),
        (another_rollout_key, "bad-metadata"),
        (a_target_of_its_own, "bad-metadata"),
        (not_signed_anew, "bad-metadata"),
        (a_release_beside, "bad-metadata"),
        (lambda request: _root(request, lambda root: setattr(root, "version", 2)), "wrong-version"),
        (
            lambda request: _root(
                request, lambda root: setattr(root, "consistent_snapshot", False)
            ),
            "bad-metadata",
        ),
        (lambda request: replace(request, kind="release"), "other-kind"),
    ],
)
def test_a_change_of_holders_that_does_more_is_refused_with_its_reason(
    home: Home, place: Path, first: Person, attack: Attack, reason: str
) -> None:
    fourth = person(place / "fourth", home)
    request = propose(home, Holders(add=naming([fourth])), place / "more.request")  # type: ignore[arg-type]
    assert refusal(attack(load_request(request)), first, holders=True) == reason
