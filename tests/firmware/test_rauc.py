"""What limpet asks of RAUC, and what it believes of its answers (the real one: end_to_end)."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor import _writing
from limpet.device.supervisor._writing import slot_writer
from limpet.errors import Rejected, Unavailable
from limpet.firmware.devices import RaucSlots, SlotDevices, load_devices
from limpet.firmware.rauc import Rauc, run_rauc
from limpet.firmware.slots import (
    SlotRecord,
    decide_start,
    factory_state,
    record_activation,
    record_confirmation,
    record_rejection,
)
from limpet.wire.codec import encode_json

NAMES = RaucSlots(a="rootfs.0", b="rootfs.1")


class Service:
    """Plays RAUC's client: notes what it is asked, and answers as it is told to."""

    def __init__(self, *, booted: str = "rootfs.0") -> None:
        self.asked: list[tuple[str, ...]] = []
        self.failing = ""
        slots = [
            {name: {"state": "booted" if name == booted else "inactive", "device": "/dev/x"}}
            for name in ("rootfs.0", "rootfs.1")
        ]
        self.status = json.dumps({"compatible": "x", "booted": "A", "slots": slots})

    def run(self, arguments: Sequence[str], seconds: float, bus: str) -> tuple[int, str, str]:
        assert seconds > 0
        self.asked.append(tuple(arguments))
        failed = self.failing and self.failing in arguments
        return (1, "", "LastError: no") if failed else (0, self.status, "fine")


def record(counter: int = 1, version: str = "1.0.0") -> SlotRecord:
    return SlotRecord(
        version=version,
        manifest_sha256=f"{counter:064x}",
        tree_sha256="ab" * 32,
        security_counter=counter,
    )


def test_a_bundle_is_installed_where_rauc_too_sees_the_slot_that_does_not_run() -> None:
    service = Service()
    Rauc(NAMES, run=service.run).install(Path("/x.bundle"), "b")
    assert service.asked == [("status", "--output-format=json"), ("install", "/x.bundle")]


@pytest.mark.parametrize(
    "status",
    [
        None,  # slot a is booted for limpet, b for RAUC
        '{"slots": []}',
        '{"slots": [{"rootfs.0": {"state": "booted"}}]}',
        '{"slots": [{"rootfs.1": {}}]}',
    ],
)
def test_where_rauc_sees_it_otherwise_nothing_is_installed(status: str | None) -> None:
    service = Service(booted="rootfs.1")
    service.status = status or service.status
    with pytest.raises(Rejected) as refused:
        Rauc(NAMES, run=service.run).install(Path("/x.bundle"), "b")
    assert refused.value.reason == "rauc-disagrees"
    assert [asked[0] for asked in service.asked] == ["status"]


@pytest.mark.parametrize("status", ["", "no JSON", "[]", "[" * 10_000, '{"slots": {"a": 1}}'])
def test_an_answer_that_cannot_be_read_installs_nothing(status: str) -> None:
    service = Service()
    service.status = status
    with pytest.raises(Rejected) as refused:
        Rauc(NAMES, run=service.run).install(Path("/x.bundle"), "b")
    assert refused.value.reason == "malformed"
    assert len(service.asked) == 1


def test_a_refusal_has_raucs_own_words() -> None:
    service = Service()
    service.failing = "install"
    with pytest.raises(Rejected, match="LastError: no") as refused:
        Rauc(NAMES, run=service.run).install(Path("/x.bundle"), "b")
    assert refused.value.reason == "rauc-refused"


def test_a_failed_slot_is_marked_bad_only_after_the_old_one_is_active() -> None:
    service = Service()
    Rauc(NAMES, run=service.run).reject("b", good="a")
    assert service.asked == [
        ("status", "mark-active", "rootfs.0"),
        ("status", "mark-bad", "rootfs.1"),
    ]
    service.failing, service.asked = "mark-active", []
    with pytest.raises(Unavailable):
        Rauc(NAMES, run=service.run).reject("b", good="a")
    assert len(service.asked) == 1


def test_a_machine_without_rauc_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpet.firmware.rauc._PROGRAM", "/nowhere/rauc")
    with pytest.raises(Unavailable, match="not installed"):
        run_rauc(["status"], 1.0, "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "slots").mkdir()
    (tmp_path / "updater" / "staging").mkdir(parents=True)
    devices = SlotDevices(a=str(tmp_path / "a"), b=str(tmp_path / "b"), rauc=NAMES)
    (tmp_path / "slots" / "devices.json").write_bytes(encode_json(devices))
    return tmp_path


def writer(root: Path, service: Service) -> _writing.SlotWriter:
    start = Start(role=Role.SUPERVISOR, root=root, slot="a")
    devices = load_devices(root)
    assert devices is not None
    assert isinstance(slot_writer(start), _writing._ByRauc)
    return _writing._ByRauc(start, devices, Rauc(NAMES, run=service.run))


def test_the_outcome_of_a_trial_is_told_once_and_again_until_rauc_heard_it(root: Path) -> None:
    service = Service()
    keeper = writer(root, service)
    trial = record_activation(factory_state(record()), "b", record(2, "1.1.0"))
    keeper.settle(trial)
    assert service.asked == [], "nothing while it runs"
    failed = record_rejection(decide_start(trial).state_after, "ill")
    service.failing = "mark-bad"
    with pytest.raises(Unavailable):
        keeper.settle(failed)
    service.failing, service.asked = "", []
    keeper.settle(failed)
    assert [asked[1] for asked in service.asked] == ["mark-active", "mark-bad"]
    service.asked = []
    keeper.settle(failed)
    assert service.asked == []
    keeper.settle(record_confirmation(decide_start(trial).state_after))
    assert [asked[1:] for asked in service.asked] == [
        ("mark-good", "rootfs.1"),
        ("mark-active", "rootfs.1"),
    ]


@pytest.mark.parametrize("what", ["link", "directory", "other", "pipe"])
def test_what_the_updater_hands_over_is_a_file_with_the_signed_hash_or_nothing(
    root: Path, what: str
) -> None:
    staged = root / "updater" / "staging" / "b.bundle"
    (root / "secret").write_bytes(b"secret")
    match what:
        case "link":
            staged.symlink_to(root / "secret")
        case "directory":
            staged.mkdir()
        case "pipe":
            os.mkfifo(staged)
        case _:
            staged.write_bytes(b"another bundle")
    service = Service()
    with pytest.raises((Rejected, Unavailable)):
        writer(root, service).take("b", record(2, "1.1.0"))
    assert service.asked == [], "RAUC is not even asked"
    assert not (root / "slots" / "b.bundle").exists()
