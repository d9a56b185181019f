"""A release is revoked: signed offline, published, and offered by nobody any more."""

from pathlib import Path

import pytest
from tests.release.workshop import NOW, now, signing

from limpet.errors import Rejected
from limpet.release import (
    Built,
    Revocation,
    publish,
    sign_release,
    sign_revocation,
)
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository
from limpet.wire.rollout import Plan, PlannedRelease, PlanState

REVOCATION = Revocation(model="thermostat", version="1.0.0")


@pytest.fixture
def published(built: Built, home: Home) -> Built:
    sign_release(built.directory, signing(home), now=NOW)
    publish(built.directory, home.root, clock=now)
    return built


def plan(built: Built, state: PlanState) -> Plan:
    release = PlannedRelease(version="1.0.0", manifest_sha256=built.manifest_sha256)
    return Plan(model="thermostat", state=state, release=release, issued_at=NOW)


def test_a_revoked_release_is_signed_by_nobody_any_more(
    published: Built, home: Home, tmp_path: Path
) -> None:
    assert len(Repository(home, now).releases()) == 1
    signed = sign_revocation(REVOCATION, tmp_path / "revoked", signing(home), now=NOW)
    assert signed.is_valid
    assert publish(tmp_path / "revoked", home.root, clock=now) == "thermostat 1.0.0 is revoked"
    assert Repository(home, now).releases() == ()
    with pytest.raises(Rejected) as refused:
        sign_revocation(REVOCATION, tmp_path / "again", signing(home), now=NOW)
    assert refused.value.reason == "unknown-release"


def test_a_release_that_the_plan_offers_is_withdrawn_before_it_is_revoked(
    published: Built, home: Home, tmp_path: Path
) -> None:
    sign_revocation(REVOCATION, tmp_path / "revoked", signing(home), now=NOW)
    repository = Repository(home, now)
    repository.publish_plan(plan(published, PlanState.RUNNING))
    with pytest.raises(Rejected) as refused:
        publish(tmp_path / "revoked", home.root, clock=now)
    assert refused.value.reason == "still-offered"
    assert refused.value.hint == (
        f"withdraw it first: limpet rollout withdraw 1.0.0 --vendor {home.root} --model thermostat"
    )
    assert len(repository.releases()) == 1
    repository.publish_plan(plan(published, PlanState.WITHDRAWN))
    publish(tmp_path / "revoked", home.root, clock=now)
    assert repository.releases() == ()


@pytest.mark.parametrize("missing", [0, 1])
def test_one_familys_signature_revokes_nothing(
    published: Built, home: Home, tmp_path: Path, missing: int
) -> None:
    """Whoever could revoke with half of the offline keys could stop a fleet."""
    keys = [key for number, key in enumerate(signing(home).keys) if number != missing]
    signed = sign_revocation(REVOCATION, tmp_path / "revoked", signing(home, *keys), now=NOW)
    assert not signed.is_valid
    with pytest.raises(Rejected) as refused:
        publish(tmp_path / "revoked", home.root, clock=now)
    assert refused.value.reason == "bad-signature"
    assert len(Repository(home, now).releases()) == 1


def test_metadata_of_a_release_revokes_nothing(
    published: Built, home: Home, tmp_path: Path
) -> None:
    """The word says revoked, the metadata beside it still signs the release."""
    sign_revocation(REVOCATION, tmp_path / "revoked", signing(home), now=NOW)
    (tmp_path / "revoked" / "releases.json").write_bytes(
        (published.directory / "releases.json").read_bytes()
    )
    with pytest.raises(Rejected) as refused:
        publish(tmp_path / "revoked", home.root, clock=now)
    assert refused.value.reason == "wrong-version"
    assert len(Repository(home, now).releases()) == 1
