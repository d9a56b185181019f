"""Firmware that two of three people sign, each on a machine of their own."""

from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.release.ceremony.people import (
    Person,
    ask,
    finish,
    merged,
    now,
    release,
    silent,
    stranger_key,
)
from tests.vendor.workshop import ANY_STEP

from limpet.errors import Rejected, Unavailable
from limpet.release import (
    Revocation,
    SigningOrder,
    draft_revocation,
    draft_support,
    publish,
)
from limpet.release.ceremony import (
    Opened,
    load_request,
    open_request,
    request_release,
    save_request,
    sign_request,
)
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository
from limpet.wire.support import AfterSupport, SupportStatement


def opened(file: Path, one: Person) -> Opened:
    return open_request(load_request(file), root=one.root, holders=False, now=now())


def test_two_of_three_who_never_meet_sign_a_release_in_any_order(
    home: Home, place: Path, first: Person, second: Person, third: Person
) -> None:
    out = release(place / "out", "1.0.0")
    request = ask(home, out, place / "1.0.0.request")
    signed = {one.directory.name: one.sign(request) for one in (first, second, third)}
    assert not opened(signed["first"], first).is_complete
    for pair in permutations(signed.values(), 2):
        whole = merged(pair, place / "both.request")
        [standing] = opened(whole, third).standing
        assert (standing.signatures, standing.threshold, standing.missing) == (4, 4, ())
    assert finish(home, out, [signed["third"], signed["first"]]) == "thermostat 1.0.0"


def test_one_persons_signatures_are_not_enough_however_often_they_are_given(
    home: Home, place: Path, first: Person
) -> None:
    out = release(place / "out", "1.0.0")
    request = ask(home, out, place / "1.0.0.request")
    once, again = first.sign(request), place / "again.request"
    again.write_bytes(first.sign(request, times=3).read_bytes())
    [standing] = opened(merged([once, again, once], place / "m.request"), first).standing
    assert (standing.signatures, standing.is_met) == (2, False)
    with pytest.raises(Rejected) as refused:
        finish(home, out, [once, again, once])
    assert refused.value.reason == "bad-signature"
    assert Repository(home, now).releases() == ()


def test_a_signer_is_shown_what_the_release_is_and_what_it_changes(
    home: Home, place: Path, first: Person, second: Person
) -> None:
    out = release(place / "old", "1.0.0")
    request = ask(home, out, place / "old.request")
    finish(home, out, [first.sign(request), second.sign(request)])
    bounds = replace(ANY_STEP, minimum_duration_seconds=3600, report_ppm=500_000)
    out = release(place / "new", "1.1.0", counter=2, bounds=bounds, image=b"another image")
    review = opened(ask(home, out, place / "new.request"), first).review
    said = "\n".join(f"{label}: {text}" for label, text in review.lines)
    assert review.title == "release thermostat 1.1.0"
    for expected in (
        "after: 1.0.0",
        "security counter: 2  (was 1)",
        "first to last: 1 hour at least  (was 0 hours at least)",
        "reports: 50 % of the fleet at least  (was 100 % of the fleet at least)",
        "hardware: A1",
        "metadata: version 4 of releases/thermostat",
    ):
        assert expected in said
    assert (out / "manifest.json").exists()
    assert "fewer devices may report on it than on 1.0.0" in review.warnings


def test_nothing_is_signed_before_the_person_has_agreed_or_without_a_key(
    home: Home, place: Path, first: Person
) -> None:
    request = ask(home, release(place / "out", "1.0.0"), place / "r.request")
    before = request.read_bytes()

    class SaidNo(Exception):
        pass

    def no(shown: Opened) -> None:
        raise SaidNo

    def sign(confirm: object, signers: object) -> None:
        sign_request(
            request,
            root=first.root,
            holders=False,
            signers=signers,  # type: ignore[arg-type]
            confirm=confirm,  # type: ignore[arg-type]
            now=now(),
        )

    def unasked(suite: object) -> None:
        raise AssertionError("keys were opened for what nobody agreed to")

    with pytest.raises(SaidNo):
        sign(no, unasked)
    stranger = Person(place / "stranger")
    stranger.directory.mkdir()
    stranger_key(stranger.directory / "key.pem")
    with pytest.raises(Rejected) as refused:
        sign(silent, stranger.signers)
    assert refused.value.reason == "wrong-key"
    with pytest.raises(Rejected) as refused:
        sign(silent, lambda suite: [])
    assert refused.value.reason == "wrong-key"
    assert request.read_bytes() == before


def test_an_interrupted_signing_leaves_the_file_as_it_was(
    home: Home, place: Path, first: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(home, release(place / "out", "1.0.0"), place / "r.request")
    before = request.read_bytes()
    replace_file = Path.replace

    def full(self: Path, target: Path) -> Path:
        if self.name.startswith(".r-"):
            raise OSError(28, "No space left on device")
        return replace_file(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(Unavailable):
        first.sign(request)
    monkeypatch.undo()
    copy = first.directory / "r-first.request"
    assert copy.read_bytes() == before
    assert list(first.directory.glob(".*")) == []
    assert opened(first.sign(request), first).standing[0].signatures == 2


def test_a_support_statement_and_a_revocation_go_by_request_too(
    home: Home, place: Path, first: Person, second: Person
) -> None:
    out = release(place / "out", "1.0.0")
    request = ask(home, out, place / "r.request")
    finish(home, out, [first.sign(request), second.sign(request)])
    order = SigningOrder(repository=home.repository, root=home.trust / "root.json")
    statement = SupportStatement(
        model="thermostat",
        until=now().replace(microsecond=0) + timedelta(days=1800),
        after=AfterSupport.KEEPS_WORKING_LOCALLY,
        text="Updates until then.",
        issued_at=now().replace(microsecond=0),
    )
    draft = draft_support(statement, place / "support", order, now=now())
    _pass_round(home, draft, place / "support.request", [first, second])
    assert Repository(home, now).support() == statement
    revocation = Revocation(model="thermostat", version="1.0.0")
    draft = draft_revocation(revocation, place / "revoked", order, now=now())
    said = _pass_round(home, draft, place / "revoked.request", [second, first])
    assert said == "thermostat 1.0.0 is revoked"
    assert Repository(home, now).releases() == ()


def _pass_round(home: Home, draft: object, file: Path, people: list[Person]) -> str:
    """The second signs what the first has signed: no merge is needed."""
    made = request_release(draft, home.repository, now=now())  # type: ignore[arg-type]
    save_request(made, file)
    for one in people:
        file = one.sign(file)
    out = draft.out  # type: ignore[attr-defined]
    return finish(home, out, [file])


def test_what_was_built_again_after_the_request_is_not_published_with_its_signatures(
    home: Home, place: Path, first: Person, second: Person
) -> None:
    request = ask(home, release(place / "out", "1.0.0"), place / "r.request")
    signed = [first.sign(request), second.sign(request)]
    other = release(place / "other", "1.0.0", image=b"built again")
    with pytest.raises(Rejected) as refused:
        finish(home, other, signed)
    assert refused.value.reason == "other-request"
    (other / "releases.json").write_bytes(next(iter(load_request(signed[0]).proposed.values())))
    with pytest.raises(Rejected):
        publish(other, home.root, clock=now)
