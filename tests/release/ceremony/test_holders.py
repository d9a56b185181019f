"""Other holders: keys lost, stolen and replaced, thresholds, an algorithm retired. What devices do
is asked of a device's own updater, which saw the vendor before the change."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.release.ceremony.people import (
    ROLES,
    Person,
    ask,
    change,
    finish,
    merged,
    naming,
    now,
    person,
    propose,
    release,
)
from tests.vendor.test_suites import Files
from tuf.api.metadata import Metadata, TargetFile, Targets

from limpet.crypto.suites import CURRENT, SUITE_FILE, bundled_suites, load_suite
from limpet.device.updater.floor import Floor
from limpet.device.updater.repository import Repository as DeviceRepository
from limpet.errors import Rejected
from limpet.release.ceremony import Holders, load_request, open_request
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository
from limpet.vendor.repository.holders import publish_holders
from limpet.vendor.repository.renewal import renew_service
from limpet.vendor.repository.suites import take_for_firmware, take_for_service
from limpet.wire.release import manifest_path

RELEASES = ROLES[2]


class Device:
    """The updater of one device, with the root that its firmware came with."""

    def __init__(self, home: Home, directory: Path, suite: object = CURRENT) -> None:
        self._repository = DeviceRepository(
            Files(home),
            model="thermostat",
            directory=directory,
            trusted_root=(home.trust / "root.json").read_bytes(),
            suite=suite,  # type: ignore[arg-type]
        )
        self._floor = Floor(time=now())

    def look(self) -> None:
        """One check. Raises `Rejected` for what it does not believe."""
        self._repository.look(self._floor, now=now(), keep=self._keep)

    def _keep(self, floor: Floor) -> None:
        self._floor = floor


@pytest.fixture
def device(home: Home, tmp_path: Path) -> Device:
    found = Device(home, tmp_path / "device")
    found.look()
    return found


def gone(one: Person, role: str = "all") -> list[tuple[str, str]]:
    return [(role, keyid[:16]) for keyid in one.ids]


def swap(role: str, old: Sequence[Person], new: Sequence[Person]) -> Holders:
    """All of `new` in the place of all of `old`."""
    removed = [pair for one in old for pair in gone(one, role)]
    return Holders(add=naming(new, role), remove=removed)  # type: ignore[arg-type]


class Cut(Exception):
    """The power went."""


def cutter(at: int) -> Callable[[str], None]:
    written: list[str] = []

    def after_write(name: str) -> None:
        written.append(name)
        if len(written) == at:
            raise Cut

    return after_write


def publish_release(home: Home, place: Path, version: str, people: Sequence[Person]) -> str:
    out = release(place / f"out-{version}", version)
    request = ask(home, out, place / f"{version}.request")
    return finish(home, out, [one.sign(request) for one in people])


def force(home: Home, people: Sequence[Person], version: str) -> None:
    """A thief with the online keys publishes what the keys of `people` sign, unasked."""
    repository = Repository(home, now)
    state = repository.state()
    releases = state.role(RELEASES)
    path = manifest_path("thermostat", version)
    releases.targets[path] = TargetFile.from_data(path, b"evil", ["sha256"])
    releases.version += 1
    metadata = Metadata[Targets](releases)
    for one in people:
        for signer in one.signers():
            metadata.sign(signer, append=True)
    role = {RELEASES: (releases.version, metadata.to_bytes())}
    with repository._lock():
        repository._publish_snapshot(repository.state(), role)


def test_a_lost_key_is_replaced_by_those_who_are_left_and_devices_see_no_gap(
    home: Home, place: Path, device: Device, first: Person, second: Person, third: Person
) -> None:
    publish_release(home, place, "1.0.0", [first, third])
    fourth = person(place / "fourth", home)
    holders = Holders(add=naming([fourth]), remove=gone(third))  # type: ignore[arg-type]
    assert change(home, holders, [first, second], place), "both are in the old root and in the new"
    device.look()
    assert publish_release(home, place, "1.1.0", [second, fourth]) == "thermostat 1.1.0"
    device.look()
    Device(home, place / "new-device").look()
    with pytest.raises(Rejected) as refused:
        publish_release(home, place, "1.2.0", [first, third])
    assert refused.value.reason == "wrong-key", "the third may not sign any more"


def test_a_stolen_key_counted_before_it_was_replaced_and_never_again(
    home: Home, place: Path, device: Device, first: Person, second: Person, third: Person
) -> None:
    """The thief has the third's keys, and somebody whom they bribed; and all online keys."""
    fourth = person(place / "fourth", home)
    holders = Holders(add=naming([fourth]), remove=gone(third))  # type: ignore[arg-type]
    change(home, holders, [first, second], place)
    device.look()
    force(home, [second, third], "6.6.6")
    with pytest.raises(Rejected) as refused:
        device.look()
    assert refused.value.reason == "bad-signature"
    with pytest.raises(Rejected) as refused:
        Device(home, place / "new-device").look()
    assert refused.value.reason == "bad-signature"


def test_two_who_hold_the_role_can_do_what_the_thief_could_not(
    home: Home, place: Path, device: Device, second: Person, third: Person
) -> None:
    """The control: before the change the same two keys, by the same way, are believed."""
    force(home, [second, third], "6.6.6")
    device.look()


def test_one_thief_alone_changes_no_holder_and_an_old_root_no_new_one(
    home: Home, place: Path, device: Device, first: Person, second: Person, third: Person
) -> None:
    fourth = person(place / "fourth", home)
    holders = Holders(add=naming([fourth]), remove=gone(first))  # type: ignore[arg-type]
    request = propose(home, holders, place / "thief.request")
    alone = merged([third.sign(request, holders=True), fourth.sign(request, holders=True)], request)
    with pytest.raises(Rejected) as refused:
        publish_holders(home, load_request(alone).proposed, now=now())
    assert refused.value.reason == "bad-signature"
    stolen = Holders(remove=gone(third), threshold=[("all", 4)])
    assert change(home, stolen, [first, second], place)
    device.look()
    with pytest.raises(Rejected) as refused:
        publish_holders(home, load_request(alone).proposed, now=now())
    assert refused.value.reason == "bad-signature"


def test_release_keys_of_which_too_few_are_left_are_replaced_by_the_holders_of_targets(
    home: Home, place: Path, device: Device, first: Person, second: Person, third: Person
) -> None:
    """The people of releases are others than those of root and targets, and have lost all."""
    others = [person(place / name, home) for name in ("release-1", "release-2")]
    assert change(
        home, swap(RELEASES, [first, second, third], others), [first, second, *others], place
    )
    publish_release(home, place, "1.0.0", others)
    device.look()
    anew = [person(place / name, home) for name in ("release-3", "release-4")]
    assert change(home, swap(RELEASES, others, anew), [first, second, *anew], place)
    device.look()
    assert publish_release(home, place, "1.1.0", anew) == "thermostat 1.1.0"
    device.look()
    with pytest.raises(Rejected) as refused:
        publish_release(home, place, "1.2.0", others)
    assert refused.value.reason == "wrong-key"


def lost_targets(home: Home, place: Path, first: Person, second: Person, third: Person) -> Path:
    """A request of root's holders in the place of those of targets, who have lost all keys."""
    others = [person(place / name, home) for name in ("targets-1", "targets-2")]
    to_others = swap("targets", [first, second, third], others)
    assert change(home, to_others, [first, second, *others], place)
    anew = [person(place / name, home) for name in ("targets-3", "targets-4")]
    request = propose(home, swap("targets", others, anew), place / "lost.request")
    signed = [one.sign(request, holders=True) for one in (first, second, *anew)]
    return merged(signed, place / "lost.signed")


def test_targets_whose_keys_are_all_lost_are_given_to_others_by_root(
    home: Home, place: Path, device: Device, first: Person, second: Person, third: Person
) -> None:
    request = load_request(lost_targets(home, place, first, second, third))
    device.look()
    assert not publish_holders(home, request.proposed, now=now()), "no old key of it has signed"
    device.look()
    publish_release(home, place, "1.0.0", [second, third])
    device.look()


def test_a_cut_at_any_write_of_a_change_is_ended_by_the_same_command(
    home: Home, place: Path, device: Device, first: Person, second: Person, third: Person
) -> None:
    """Of the order that leaves a gap: a device in between keeps what it has, and none is left
    behind. It is cut at the first write, begun again and cut at the second, and so on."""
    proposed = load_request(lost_targets(home, place, first, second, third)).proposed
    device.look()
    refusals: list[str] = []
    for cut in range(1, 5):
        with pytest.raises(Cut):
            publish_holders(home, proposed, now=now(), after_write=cutter(cut))
        with contextlib.suppress(Rejected):
            refusals.append("none")
            device.look()
            continue
        refusals[-1] = "refused"
    assert refusals == ["none", "none", "refused", "none"], "the gap: root alone is there"
    assert not publish_holders(home, proposed, now=now())
    device.look()
    assert not (home.online / "holders.json").exists()
    assert (home.trust / "root.json").read_bytes() == proposed["root"]
    Repository(home, now).verify_keys()
    with pytest.raises(Rejected) as refused:
        publish_holders(home, proposed, now=now())
    assert refused.value.reason in ("wrong-version", "bad-signature")


def test_thresholds_rise_and_fall_and_a_fall_is_said(
    home: Home, place: Path, device: Device, first: Person, second: Person, third: Person
) -> None:
    assert change(home, Holders(threshold=[(RELEASES, 6)]), [first, second, third], place)
    device.look()
    with pytest.raises(Rejected) as refused:
        publish_release(home, place, "1.0.0", [first, second])
    assert refused.value.reason == "bad-signature"
    out = place / "out-1.0.0"
    request = place / "1.0.0.request"
    assert finish(home, out, [one.sign(request) for one in (first, second, third)])
    lower = propose(home, Holders(threshold=[("all", 2)]), place / "lower.request")
    review = open_request(load_request(lower), root=first.root, holders=True, now=now()).review
    assert "root takes fewer signatures than before" in review.warnings
    assert f"one person alone can sign for {RELEASES}" in review.warnings


def lacks_suite(request: Path, one: Person, reason: str) -> None:
    """They refuse it, for `reason`, and are told what they may lack."""
    with pytest.raises(Rejected) as refused:
        open_request(load_request(request), root=one.root, holders=True, now=now())
    assert refused.value.reason == reason
    assert SUITE_FILE in refused.value.hint


def test_an_algorithm_is_retired_by_people_step_by_step_and_no_device_is_left_behind(
    home: Home, place: Path, device: Device, first: Person, second: Person, third: Person
) -> None:
    """Ed25519 leaves the offline roles: first no firmware asks for it, then no role names it."""
    text = bundled_suites()[CURRENT.version].read_text()
    besides = text.replace('[["ed25519"], ["ml-dsa-65/1"]]', '[["ml-dsa-65/1"]]').replace(
        "besides = []", 'besides = ["ed25519"]'
    )
    steps = []
    for version, content in ((3, besides), (4, besides.replace('["ed25519"]  #', "[]  #"))):
        file = place / f"step-{version}.toml"
        file.write_text(content.replace("version = 2\n", f"version = {version}\n", 1))
        steps.append(file)
    assert load_suite(steps[0]).firmware.offline == (("ml-dsa-65/1",),)
    people = (first, second, third)
    assert take_for_firmware(home, steps[0], offline=home.offline, now=now()) == ()
    publish_release(home, place, "1.0.0", [first, third])
    device.look()
    modern = Device(home, place / "modern", load_suite(steps[0]))
    modern.look()
    take_for_service(home, steps[0])
    retired = Holders(retire=["ed25519"], threshold=[("all", 2)])
    lacks_suite(propose(home, retired, place / "early.request"), second, "unreachable")
    for one in (second, third):
        (one.directory / SUITE_FILE).write_bytes(steps[0].read_bytes())
    assert change(home, retired, [second, third], place)
    modern.look()
    with pytest.raises(Rejected) as refused:
        device.look()
    assert refused.value.reason == "bad-signature", "old firmware asks for both: it went first"
    later = propose(home, Holders(renew=True), place / "later.request")
    lacks_suite(later, first, "bad-signature")  # who was not there
    (first.directory / SUITE_FILE).write_bytes(steps[1].read_bytes())
    for one in people:
        (one.directory / "ed25519.pem").unlink()
    assert publish_release(home, place, "1.1.0", [first, second]) == "thermostat 1.1.0"
    modern.look()


def test_a_family_is_added_by_people_and_the_suite_that_asks_for_it_is_taken(
    home: Home, place: Path, first: Person, second: Person
) -> None:
    """With every key there already, the suite needs no drawer; without, it says who has to act."""
    text = bundled_suites()[CURRENT.version].read_text()
    newer = place / "newer.toml"
    newer.write_text(text.replace("version = 2\n", "version = 3\n", 1))
    assert take_for_firmware(home, newer, offline=home.offline, now=now()) == ()
    assert home.firmware_suite.version == 3
    asking = place / "asking.toml"
    families = '[["ed25519"], ["ml-dsa-65/1"], ["ml-dsa-87/1"]]'
    asking.write_text(
        text.replace("version = 2\n", "version = 4\n", 1).replace(
            '[["ed25519"], ["ml-dsa-65/1"]]', families
        )
    )
    with pytest.raises(Rejected) as refused:
        take_for_firmware(home, asking, offline=home.offline, now=now())
    assert refused.value.reason == "by-hand"
    assert "limpet vendor root propose" in refused.value.hint
    assert not home.offline.exists(), "no key was made that nobody holds"


def test_people_renew_what_expires_and_the_service_gets_its_certificate_alone(
    home: Home, place: Path, device: Device, first: Person, second: Person, third: Person
) -> None:
    before = Repository(home, now).state()
    assert change(home, Holders(renew=True), [third, first], place)
    after = Repository(home, now).state()
    assert after.root.expires >= before.root.expires
    assert after.role(RELEASES).version == before.role(RELEASES).version + 1
    device.look()
    certificate = (home.online / "service.pem").read_bytes()
    drawer = place / "drawer-of-the-service"
    drawer.mkdir()
    for name in ("service-root.pem", "service-root.key"):
        (drawer / name).write_bytes((place / "authority" / name).read_bytes())
    renew_service(home, offline=drawer, now=now())
    assert (home.online / "service.pem").read_bytes() != certificate


def test_what_is_proposed_without_sense_is_refused_before_anybody_is_asked(
    home: Home, place: Path, first: Person
) -> None:
    for holders, reason in (
        (Holders(), "nothing-to-do"),
        (Holders(remove=[("root", "ffffffff")]), "unknown-key"),
        (Holders(remove=[("root", first.ids[0][:4])]), "unknown-key"),
        (Holders(threshold=[("timestamp", 1)]), "unknown-role"),
        (Holders(add=naming([first])), "nothing-to-do"),  # type: ignore[arg-type]
    ):
        with pytest.raises(Rejected) as refused:
            propose(home, holders, place / "no.request")
        assert refused.value.reason == reason
    assert not (place / "no.request").exists()


def test_a_signers_root_of_trust_moves_with_what_they_sign(
    home: Home, place: Path, first: Person, second: Person, third: Person
) -> None:
    before = first.root.read_bytes()
    change(home, Holders(renew=True), [first, second], place)
    assert first.root.read_bytes() == before, "it was not published yet when they signed"
    publish_release(home, place, "1.0.0", [first, third])
    assert first.root.read_bytes() == (home.trust / "root.json").read_bytes() != before
    assert second.root.read_bytes() == before
