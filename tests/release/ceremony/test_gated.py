"""The gate's word in a request: shown to whoever signs, and nothing is signed without it where a
signer knows the gate."""

import hashlib
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.release.ceremony.people import ROLES, Person, ask, finish, now, release
from tuf.api.metadata import Metadata, Targets

from limpet.crypto.attesting import AttestingKey, new_attesting_key, public_pem
from limpet.errors import Rejected
from limpet.release.ceremony import SigningRequest, load_request, open_request
from limpet.vendor.home import Home
from limpet.wire.attestation import Attestation, Result, seal_attestation

GATE = new_attesting_key()


def judge(out: Path, key: AttestingKey = GATE, result: str = "PASSED") -> bytes:
    """The gate's word beside the release."""
    digest = hashlib.sha256((out / "manifest.json").read_bytes()).hexdigest()
    verdict = Result(
        result=result,  # type: ignore[arg-type]
        configuration=(),
        passed_tests=("design-whole", "support-covers"),
        judged_at=now(),
    )
    word = seal_attestation(Attestation.of({"manifest.json": digest}, verdict), key)
    (out / "gate.intoto.json").write_bytes(word)
    return word


@pytest.fixture
def request_file(home: Home, place: Path, first: Person, second: Person) -> Path:
    """For a release that passed, of a vendor whose signers all know the gate."""
    for directory in (home.trust, first.directory, second.directory):
        (directory / "gate.pem").write_bytes(public_pem(GATE.public_key()))
    out = release(place / "out", "1.0.0")
    judge(out)
    return ask(home, out, place / "r.request")


def naming(request: SigningRequest, word: bytes) -> SigningRequest:
    """The request with another word, which its metadata names."""
    metadata = Metadata[Targets].from_bytes(request.proposed[ROLES[2]])
    [target] = metadata.signed.targets.values()
    target.unrecognized_fields.pop("custom")
    if word:
        digest = hashlib.sha256(word).hexdigest()
        target.unrecognized_fields["custom"] = {"gate": digest}
    return replace(request, gate=word, proposed={ROLES[2]: metadata.to_bytes()})


def lines(request: SigningRequest, one: Person) -> dict[str, str]:
    opened = open_request(request, root=one.root, holders=False, now=now())
    return dict(opened.review.lines)


def test_the_word_is_shown_signed_and_published_with_the_release(
    home: Home, place: Path, request_file: Path, first: Person, second: Person, third: Person
) -> None:
    request = load_request(request_file)
    assert lines(request, first)["gate"].startswith("passed 2 rules at ")
    assert "cannot check" in lines(request, third)["gate"], "no gate.pem was given to the third"
    signed = [first.sign(request_file), second.sign(request_file)]
    assert finish(home, place / "out", signed) == "thermostat 1.0.0"


@pytest.mark.parametrize(
    ("word", "reason"),
    [("none", "ungated"), ("of another key", "bad-attestation"), ("failed", "bad-attestation")],
)
def test_a_release_that_the_gate_did_not_pass_is_not_signed(
    place: Path, request_file: Path, first: Person, word: str, reason: str
) -> None:
    out = place / "out"
    words = {
        "none": b"",
        "of another key": judge(out, new_attesting_key()),
        "failed": judge(out, GATE, "FAILED"),
    }
    with pytest.raises(Rejected) as refused:
        lines(naming(load_request(request_file), words[word]), first)
    assert refused.value.reason == reason


def test_another_word_than_the_metadata_names_is_refused(
    place: Path, request_file: Path, first: Person
) -> None:
    later = judge(place / "out")
    with pytest.raises(Rejected) as refused:
        lines(replace(load_request(request_file), gate=later + b"\n"), first)
    assert refused.value.reason == "tampered"


def test_no_request_is_made_for_what_no_gate_has_judged(
    home: Home, place: Path, request_file: Path
) -> None:
    with pytest.raises(Rejected) as refused:
        ask(home, release(place / "other", "1.1.0"), place / "other.request")
    assert refused.value.reason == "ungated"
