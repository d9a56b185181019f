"""The phase-in: every device has its place, no device is always first, no online key rushes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.errors import Rejected
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.release import Bounds
from limpet.wire.rollout import (
    PLAN_BYTES,
    Plan,
    PlannedRelease,
    PlanState,
    device_tag,
    earliest_installation,
    is_admitted,
    is_sampled,
    position,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
RELEASE, NEXT_RELEASE = "a" * 64, "b" * 64
FLEET = [f"TH-{number:08d}" for number in range(20_000)]


def plan(admitted_ppm: int, *, state: PlanState = PlanState.RUNNING, canary: str = "") -> Plan:
    return Plan(
        model="thermostat",
        state=state,
        release=PlannedRelease(version="1.1.0", manifest_sha256=RELEASE),
        admitted_ppm=admitted_ppm,
        named=(device_tag(RELEASE, canary),) if canary else (),
        issued_at=NOW,
    )


@pytest.mark.parametrize("share", [0, 10_000, 250_000, 1_000_000])
def test_a_share_admits_that_share_of_a_large_fleet(share: int) -> None:
    admitted = sum(is_admitted(plan(share), device) for device in FLEET)
    expected = len(FLEET) * share / 1_000_000
    deviation = (len(FLEET) * share / 1e6 * (1 - share / 1e6)) ** 0.5
    assert abs(admitted - expected) <= 4 * deviation


def test_a_larger_share_never_takes_a_device_back() -> None:
    before = {device for device in FLEET if is_admitted(plan(100_000), device)}
    after = {device for device in FLEET if is_admitted(plan(200_000), device)}
    assert before < after


def test_the_first_devices_of_one_release_are_not_the_first_of_the_next() -> None:
    first = {device for device in FLEET if position(RELEASE, device) < 50_000}
    also = {device for device in first if position(NEXT_RELEASE, device) < 50_000}
    assert len(also) < len(first) * 0.15


@pytest.mark.parametrize("state", [s for s in PlanState if s is not PlanState.RUNNING])
def test_no_state_but_running_admits_anybody(state: PlanState) -> None:
    assert not is_admitted(plan(1_000_000, state=state, canary=FLEET[0]), FLEET[0])


def test_a_canary_goes_before_any_share() -> None:
    assert is_admitted(plan(0, canary=FLEET[0]), FLEET[0])
    assert not is_admitted(plan(0, canary=FLEET[0]), FLEET[1])


@given(st.integers(0, 999_999), st.integers(0, 10**6))
def test_the_offline_ramp_is_never_faster_than_its_duration(place: int, seconds: int) -> None:
    bounds = Bounds(not_before=NOW, minimum_duration_seconds=seconds, largest_step_ppm=250_000)
    when = earliest_installation(bounds, place)
    assert NOW <= when <= NOW + timedelta(seconds=seconds)
    assert earliest_installation(bounds, 0) == NOW


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_position_is_a_place_in_the_queue(release: str, device: str) -> None:
    assert 0 <= position(release, device) < 1_000_000


def test_an_unknown_field_in_a_plan_is_refused() -> None:
    document = encode_json(plan(5)).replace(b'"admitted_ppm"', b'"start": 1, "admitted_ppm"')
    with pytest.raises(Rejected) as refusal:
        decode_json(document, Plan, max_bytes=PLAN_BYTES)
    assert refusal.value.reason == "malformed"


@given(st.binary(max_size=300))
def test_bytes_are_a_plan_or_are_refused(data: bytes) -> None:
    with pytest.raises(Rejected):
        decode_json(data, Plan, max_bytes=PLAN_BYTES)


def test_a_plan_names_no_serial_number_and_no_device_twice_alike() -> None:
    sent = encode_json(plan(0, canary=FLEET[3]))
    assert FLEET[3].encode() not in sent
    assert device_tag(RELEASE, FLEET[3]) != device_tag(NEXT_RELEASE, FLEET[3])
    assert len({device_tag(RELEASE, device) for device in FLEET}) == len(FLEET)


def test_a_plan_that_names_whole_fleets_is_refused() -> None:
    full = [device_tag(RELEASE, device) for device in FLEET[:257]]
    for named, fits in ((full[:256], True), (full, False)):
        sent = encode_json(
            {"model": "thermostat", "state": "running", "named": named, "issued_at": NOW}
        )
        assert len(sent) < PLAN_BYTES
        if fits:
            decode_json(sent, Plan, max_bytes=PLAN_BYTES)
        else:
            with pytest.raises(Rejected):
                decode_json(sent, Plan, max_bytes=PLAN_BYTES)


def test_a_plan_survives_the_wire() -> None:
    sent = plan(250_000, canary=FLEET[3])
    assert decode_json(encode_json(sent), Plan, max_bytes=PLAN_BYTES) == sent


@pytest.mark.parametrize("share", [0, 10_000, 250_000, 1_000_000])
def test_the_sample_is_that_share_of_the_fleet_and_of_each_step_of_it(share: int) -> None:
    """Independent of the place in the queue: else the first step would be all that reports."""
    early = [device for device in FLEET if position(RELEASE, device) < 250_000]
    for devices in (FLEET, early):
        sampled = sum(is_sampled(RELEASE, device, share) for device in devices)
        deviation = (len(devices) * share / 1e6 * (1 - share / 1e6)) ** 0.5
        assert abs(sampled - len(devices) * share / 1e6) <= 4 * deviation


def test_a_larger_sample_holds_the_smaller_and_the_next_release_asks_others() -> None:
    few = {device for device in FLEET if is_sampled(RELEASE, device, 50_000)}
    assert few < {device for device in FLEET if is_sampled(RELEASE, device, 100_000)}
    again = {device for device in few if is_sampled(NEXT_RELEASE, device, 50_000)}
    assert len(again) < len(few) * 0.15


def test_a_release_is_never_signed_so_that_nobody_reports() -> None:
    signed = encode_json(Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=1))
    assert b'"report_ppm": 1000000' in signed, "everybody, unless it says otherwise"
    with pytest.raises(Rejected) as refused:
        decode_json(signed.replace(b"1000000", b"0"), Bounds, max_bytes=1000)
    assert refused.value.reason == "malformed"
