"""The rules for installing, one by one, and that none can be talked out of."""

import dataclasses
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.crypto.suites import SuiteId
from limpet.errors import Rejected
from limpet.firmware.decision import (
    DeviceFacts,
    Hold,
    Install,
    Nothing,
    Opening,
    OwnerPolicy,
    VerifiedRelease,
    decide_installation,
    verify_release,
)
from limpet.wire.codec import encode_json
from limpet.wire.release import Bounds, Group, Image, ReleaseManifest, ahead_tag
from limpet.wire.rollout import Plan, PlannedRelease, PlanState, device_tag, position

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
IMAGE = Image(
    path=f"images/{'0' * 64}.img",
    packed=10,
    size=10,
    codec="zlib",
    groups=(Group(packed=10, size=10, sha256="ab" * 32),),
    tree_sha256="cd" * 32,
)
FACTS = DeviceFacts(
    model="thermostat",
    hardware_revision="A1",
    device_id="TH-0001",
    version="1.0.0",
    manifest_sha256="",
    interface_version=1,
    security_counter=5,
)
ALWAYS = OwnerPolicy(automatic=True, in_window=lambda now: True, window_text="at any time")


def manifest(**changes: Any) -> ReleaseManifest:
    fields: dict[str, Any] = {
        "model": "thermostat",
        "hardware_revisions": ("A1", "A2"),
        "version": "1.1.0",
        "security_counter": 5,
        "interface_version": 1,
        "minimum_version": "0.0.0",
        "built_at": NOW,
        "image": IMAGE,
        "bounds": Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=1_000_000),
    }
    return ReleaseManifest(**(fields | changes))


def plan_for(data: bytes, **changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "model": "thermostat",
        "state": PlanState.RUNNING,
        "release": PlannedRelease(
            version=msgspec.json.decode(data)["version"],
            manifest_sha256=hashlib.sha256(data).hexdigest(),
        ),
        "admitted_ppm": 1_000_000,
        "issued_at": NOW,
    }
    return Plan(**(fields | changes))


def facts(**changes: Any) -> DeviceFacts:
    return dataclasses.replace(FACTS, **changes)


def verified(plan: dict[str, Any] | None = None, **changes: Any) -> tuple[VerifiedRelease, Plan]:
    data = encode_json(manifest(**changes))
    made = plan_for(data, **(plan or {}))
    return verify_release(data, made, FACTS), made


def reason_of(data: bytes, plan: Plan, known: DeviceFacts = FACTS) -> str:
    with pytest.raises(Rejected) as refused:
        verify_release(data, plan, known)
    return refused.value.reason


def test_a_release_within_every_rule_is_installed() -> None:
    release, plan = verified()
    assert decide_installation(release, plan, ALWAYS, FACTS, NOW) == Install(release)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "toaster"}, "wrong-model"),
        ({"hardware_revisions": ("A2",)}, "wrong-hardware"),
        ({"hardware_revisions": ()}, "wrong-hardware"),
        ({"security_counter": 4}, "rollback"),
        ({"version": "0.9.9"}, "rollback"),
        ({"minimum_version": "1.0.1"}, "minimum-version"),
    ],
)
def test_a_release_that_breaks_a_rule_is_refused(changes: dict[str, Any], reason: str) -> None:
    data = encode_json(manifest(**changes))
    assert reason_of(data, plan_for(data)) == reason


def test_a_lower_version_with_the_same_counter_is_a_rollback_by_number_not_by_text() -> None:
    data = encode_json(manifest(version="1.9.0"))
    assert reason_of(data, plan_for(data), facts(version="1.10.0")) == "rollback"


def test_newer_firmware_with_an_older_suite_is_refused_and_one_with_the_same_is_not() -> None:
    """What the suite in force has retired would come back."""
    newest, older = SuiteId(name="hybrid", version=2), SuiteId(name="first", version=1)
    data = encode_json(manifest(suite=older))
    assert reason_of(data, plan_for(data), facts(suite=newest)) == "rollback"
    assert reason_of(data, plan_for(data), facts(suite=newest, security_counter=0)) == "rollback"
    same = encode_json(manifest(suite=newest))
    verify_release(same, plan_for(same), facts(suite=newest))
    verify_release(same, plan_for(same), facts(suite=older))


def test_another_release_under_the_running_version_is_refused() -> None:
    data = encode_json(manifest(version="1.0.0"))
    assert reason_of(data, plan_for(data), facts(manifest_sha256="ef" * 32)) == "rollback"


def test_a_manifest_that_the_plan_does_not_name_is_refused() -> None:
    data, other = encode_json(manifest()), encode_json(manifest(security_counter=9))
    assert reason_of(other, plan_for(data)) == "unsigned-release"
    renamed = PlannedRelease(version="1.2.0", manifest_sha256=hashlib.sha256(data).hexdigest())
    assert reason_of(data, plan_for(data, release=renamed)) == "unsigned-release"


def test_a_withdrawal_counts_from_plan_or_memory_or_state() -> None:
    data = encode_json(manifest())
    digest = hashlib.sha256(data).hexdigest()
    assert reason_of(data, plan_for(data, withdrawn=(digest,))) == "withdrawn"
    assert reason_of(data, plan_for(data), facts(withdrawn=frozenset({digest}))) == "withdrawn"
    assert reason_of(data, plan_for(data, state=PlanState.WITHDRAWN)) == "withdrawn"


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"spec": "limpet-release-2"}'])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    assert reason_of(data, plan_for(encode_json(manifest()))) == "malformed"


def test_a_time_without_a_zone_is_refused() -> None:
    said = msgspec.json.decode(encode_json(manifest()))
    verify_release(data := msgspec.json.encode(said), plan_for(data), FACTS)
    said["built_at"] = said["built_at"].removesuffix("Z")
    data = msgspec.json.encode(said)
    assert reason_of(data, plan_for(data)) == "malformed"


def test_a_step_over_the_bound_is_refused_and_one_within_is_not() -> None:
    bounds = Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=100_000)
    data = encode_json(manifest(bounds=bounds))
    over = plan_for(data, previous_ppm=50_000, admitted_ppm=150_001)
    assert reason_of(data, over) == "out-of-bounds"
    verify_release(data, plan_for(data, previous_ppm=50_000, admitted_ppm=150_000), FACTS)


def test_the_phase_in_is_told_with_position_and_share() -> None:
    release, plan = verified({"admitted_ppm": 0})
    held = decide_installation(release, plan, ALWAYS, FACTS, NOW)
    assert isinstance(held, Hold)
    assert held.reason == "phase-in"
    place = position(release.manifest_sha256, FACTS.device_id) / 10_000
    shown = held.detail.removeprefix("position ").partition(" %")[0]
    assert abs(float(shown) - place) < 0.01
    assert held.detail.endswith("admitted 0 %")


def test_whom_the_offline_keys_let_go_ahead_waits_for_not_before_alone() -> None:
    later = NOW + timedelta(hours=1)
    bounds = Bounds(
        not_before=later,
        minimum_duration_seconds=86400,
        largest_step_ppm=1_000_000,
        ahead=(ahead_tag("1.1.0", FACTS.device_id),),
    )
    release, plan = verified(bounds=bounds)
    held = decide_installation(release, plan, ALWAYS, FACTS, NOW)
    assert isinstance(held, Hold)
    assert held.reason == "ramp"
    assert isinstance(decide_installation(release, plan, ALWAYS, FACTS, later), Install)


def test_whom_a_plan_names_still_waits_for_its_place() -> None:
    """Whoever holds the online key can name every device there is."""
    year = 86400 * 365
    bounds = Bounds(not_before=NOW, minimum_duration_seconds=year, largest_step_ppm=1_000_000)
    digest = verified({"admitted_ppm": 0}, bounds=bounds)[0].manifest_sha256
    named = {"admitted_ppm": 0, "named": (device_tag(digest, FACTS.device_id),)}
    release, plan = verified(named, bounds=bounds)
    held = decide_installation(release, plan, ALWAYS, FACTS, NOW + timedelta(minutes=1))
    assert isinstance(held, Hold)
    assert held.reason == "ramp"
    other = ahead_tag("1.0.9", FACTS.device_id)  # of another version: says nothing of this one
    release, plan = verified(bounds=msgspec.structs.replace(bounds, ahead=(other,)))
    again = decide_installation(release, plan, ALWAYS, FACTS, NOW + timedelta(minutes=1))
    assert isinstance(again, Hold)


def test_the_offline_ramp_holds_each_device_until_its_own_time() -> None:
    bounds = Bounds(not_before=NOW, minimum_duration_seconds=86400, largest_step_ppm=1_000_000)
    release, plan = verified(bounds=bounds)
    place = position(release.manifest_sha256, FACTS.device_id)
    own = NOW + timedelta(seconds=86400 * place / 1_000_000)
    early, late = own - timedelta(seconds=1), own + timedelta(seconds=1)
    assert isinstance(decide_installation(release, plan, ALWAYS, FACTS, early), Hold)
    assert isinstance(decide_installation(release, plan, ALWAYS, FACTS, late), Install)


def held_reason(policy: OwnerPolicy, known: DeviceFacts = FACTS, **changes: Any) -> str:
    release, plan = verified(**changes)
    decision = decide_installation(release, plan, policy, known, NOW)
    return decision.reason if isinstance(decision, Hold) else type(decision).__name__


def policy(**changes: Any) -> OwnerPolicy:
    return dataclasses.replace(ALWAYS, **changes)


def never(now: datetime) -> bool:
    del now
    return False


def test_the_owner_holds_by_switch_and_window_and_releases_by_consent() -> None:
    assert held_reason(policy(automatic=False)) == "automatic-off"
    assert held_reason(policy(in_window=never)) == "outside-window"
    assert held_reason(policy(automatic=False, in_window=never, consent=True)) == "Install"


ASKING: dict[str, Any] = {"ask": True, "hold_days": 30, "security_hold_days": 7}
POSTPONED: dict[str, Any] = {**ASKING, "ask": False, "postponed_until": NOW + timedelta(days=400)}


@pytest.mark.parametrize(
    ("choice", "reason"), [(ASKING, "needs-consent"), (POSTPONED, "postponed")]
)
def test_an_owners_hold_ends_at_the_products_bound_then_in_the_next_window(
    choice: dict[str, Any], reason: str
) -> None:
    just_within = policy(**choice, waiting_since=NOW - timedelta(days=30, seconds=-1))
    assert held_reason(just_within) == reason
    over = policy(**choice, waiting_since=NOW - timedelta(days=30))
    assert held_reason(over) == "Install"
    shut = policy(**choice, waiting_since=NOW - timedelta(days=30), in_window=never)
    assert held_reason(shut) == "outside-window"
    assert held_reason(policy(**choice, consent=True)) == "Install"


@pytest.mark.parametrize("choice", [ASKING, POSTPONED])
def test_a_release_that_closes_a_hole_is_held_back_for_less(choice: dict[str, Any]) -> None:
    """The mark is the raised security counter, signed offline."""
    fix = FACTS.security_counter + 1
    since = NOW - timedelta(days=7)
    assert held_reason(policy(**choice, waiting_since=since), security_counter=fix) == "Install"
    assert held_reason(policy(**choice, waiting_since=since)) != "Install"


def test_an_owner_holds_nothing_back_where_the_product_lets_nobody() -> None:
    for choice in (ASKING, POSTPONED):
        none = {**choice, "hold_days": 0, "security_hold_days": 0}
        assert held_reason(policy(**none)) == "Install"


def test_a_hold_says_when_it_ends() -> None:
    opens = NOW + timedelta(hours=3)
    opening = Opening(opens=opens, closes=opens + timedelta(hours=1), text="02:00 (UTC)")
    cases = (
        (policy(**POSTPONED), NOW + timedelta(days=30)),
        (policy(**{**POSTPONED, "postponed_until": opens}), opens),
        (policy(in_window=never, opening=lambda _: opening), opens),
        (policy(automatic=False), None),
    )
    for choice, until in cases:
        release, plan = verified()
        held = decide_installation(release, plan, choice, FACTS, NOW)
        assert isinstance(held, Hold)
        assert held.until == until


def test_a_changed_interface_waits_for_consent_even_when_automatic() -> None:
    assert held_reason(ALWAYS, interface_version=2) == "interface-change"
    assert held_reason(policy(consent=True), interface_version=2) == "Install"


@pytest.mark.parametrize("plan", [{"state": PlanState.PAUSED}, {"admitted_ppm": 0}])
def test_consent_does_not_overrule_the_vendor(plan: dict[str, Any]) -> None:
    release, made = verified(plan)
    assert isinstance(decide_installation(release, made, policy(consent=True), FACTS, NOW), Hold)


def test_a_release_that_failed_here_waits_for_consent() -> None:
    release, _ = verified()
    known = facts(failed=frozenset({release.manifest_sha256}))
    assert held_reason(ALWAYS, known) == "failed-before"
    assert held_reason(policy(consent=True), known) == "Install"


def test_what_runs_already_is_nothing_whatever_the_plan_says() -> None:
    data = encode_json(manifest(version="1.0.0"))
    for state in (PlanState.RUNNING, PlanState.PAUSED, PlanState.HALTED):
        plan = plan_for(data, state=state)
        release = verify_release(data, plan, FACTS)
        assert decide_installation(release, plan, ALWAYS, FACTS, NOW) == Nothing()


@given(
    counter=st.integers(0, 9),
    version=st.sampled_from(["0.1.0", "1.0.0", "1.0.1", "2.0.0"]),
    admitted=st.integers(0, 1_000_000),
    previous=st.integers(0, 1_000_000),
    largest=st.integers(0, 1_000_000),
    state=st.sampled_from(PlanState),
    hours=st.integers(-48, 48),
    canary=st.booleans(),
    ahead=st.booleans(),
)
def test_no_plan_makes_a_device_install_outside_what_was_signed_offline(
    counter: int,
    version: str,
    admitted: int,
    previous: int,
    largest: int,
    state: PlanState,
    hours: int,
    canary: bool,
    ahead: bool,
) -> None:
    bounds = Bounds(
        not_before=NOW,
        minimum_duration_seconds=86400,
        largest_step_ppm=largest,
        ahead=(ahead_tag(version, FACTS.device_id),) if ahead else (),
    )
    data = encode_json(manifest(security_counter=counter, version=version, bounds=bounds))
    plan = plan_for(
        data,
        state=state,
        admitted_ppm=admitted,
        previous_ppm=previous,
        named=(device_tag(hashlib.sha256(data).hexdigest(), FACTS.device_id),) if canary else (),
    )
    now = NOW + timedelta(hours=hours)
    try:
        release = verify_release(data, plan, FACTS)
        decision = decide_installation(release, plan, ALWAYS, FACTS, now)
    except Rejected:
        return
    if isinstance(decision, Install):
        assert counter >= FACTS.security_counter
        assert version in ("1.0.1", "2.0.0")
        assert admitted - previous <= largest
        assert now >= NOW
        assert state is PlanState.RUNNING
        place = position(release.manifest_sha256, FACTS.device_id)
        assert ahead or now >= NOW + timedelta(seconds=86400 * place / 1_000_000)
