"""Checks of host, service and dossier: the real check over good and bad measurements."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.audit import specimens as s
from tests.audit.specimens import NOW, THERMOSTAT, seeded

from limpet.audit import Endpoint, Finding, Target, Verdict, load_checks
from limpet.audit.instruments.certificates import Shown
from limpet.audit.instruments.device import Attempt, Operation, read_identity, try_operations
from limpet.audit.instruments.devices import DeviceKeys, read_device_keys
from limpet.audit.instruments.dossier import (
    History,
    Lock,
    read_design,
    read_history,
    read_label_text,
    read_locks,
    read_tests,
)
from limpet.audit.instruments.gate import Word, read_word
from limpet.audit.instruments.hello import Outcome, Reply, Version
from limpet.audit.instruments.host import (
    KernelRandomness,
    LogLine,
    NoiseSource,
    OpenFile,
    Slot,
    read_address_randomization,
    read_device_log,
    read_kernel_randomness,
    read_mechanisms,
    read_noise_source,
    read_open_files,
    read_slots,
)
from limpet.audit.instruments.hostile import (
    Ordeal,
    send_hostile_input,
    send_relay_requests,
)
from limpet.audit.instruments.http import Answer
from limpet.audit.instruments.impostor import Meeting, meet_impostor
from limpet.audit.instruments.policy import read_update_status
from limpet.audit.instruments.processes import read_processes, read_resting
from limpet.audit.instruments.repository import read_repository
from limpet.audit.instruments.service import Factory, read_factory, read_pages, read_vendor_keys
from limpet.audit.instruments.sockets import Echo, probe_datagrams
from limpet.audit.instruments.tls import TlsSurvey, survey_device
from limpet.audit.instruments.watch import read_watch
from limpet.product import Confinement, ConfinementGap, Product, render_mud
from limpet.wire.support import AfterSupport, SupportStatement

Measurements = dict[object, object]
DEVICE = Endpoint("127.0.0.1", 8443)


def product(**changed: object) -> Measurements:
    return {read_design: s.change(s.design(), **changed)}


def threats(**changed: object) -> Measurements:
    first, *others = s.design().product.threats
    return product(threats=(msgspec.structs.replace(first, **changed), *others))


WORD = Word(
    version="1.1.0",
    judged_at=s.NOW,
    passed=True,
    evidence={
        "vulnerabilities-addressed": "9 components, data of yesterday: none is known",
        "interface-kept": "nothing breaks",
        "tests-ran": "48 tests ran",
        "advisories-tested": "the product has no past advisory",
    },
    failed=(),
    key_was_known=True,
)


def hosted(**changed: object) -> Measurements:
    sound: Measurements = {
        read_processes: s.processes(),
        read_resting: frozenset(),
        read_open_files: (12, ()),
        read_address_randomization: 2,
        read_mechanisms: s.mechanisms(),
        read_kernel_randomness: KernelRandomness(
            entropy_bits=256, hardware="virtio_rng.0", processor_instruction=True
        ),
        read_noise_source: NoiseSource("healthy", "tested"),
        read_slots: (Slot(name="a", version="1.0.0", recorded="a1", found="a1"),),
        read_device_log: (LogLine("update-refused", "unsigned-release: not signed by releases"),),
        try_operations: (Attempt(Operation("GET", "/v1/update", False), "no token", 401, b"", ""),),
        send_hostile_input: (Ordeal("not HTTP", 400),),
        send_relay_requests: (Ordeal("CONNECT", 400),),
        probe_datagrams: (Echo(53, 17, 0),),
        survey_device: _survey(),
        read_repository: s.repository(),
        read_word: WORD,
        read_tests: 48,
        read_watch: s.watch(),
        read_identity: {"support": {"until": "2031-12-31", "text": "It goes on."}},
        read_design: s.design(),
        read_factory: Factory(5, {"serial": 5, "certificate_sha256": 5}),
        read_pages: _pages(),
        read_device_keys: DeviceKeys(certified=frozenset({"k1"}), held={"k1": "keeper/key.pem"}),
        read_vendor_keys: {"v1": THERMOSTAT},
        meet_impostor: Meeting(
            connections=2, trusting=0, said=("the certificate does not verify",)
        ),
    }
    named = {measure.__name__: measure for measure in sound}  # type: ignore[attr-defined]
    for name, value in changed.items():
        sound[named[name]] = value
    return sound


def _survey() -> TlsSurvey:
    refused = Outcome(reply=Reply.REFUSED, alert=40)
    leaf = Shown(
        common_name="thermostat",
        serial="TH-0A1B2C3D",
        issuer="CN=Example",
        is_self_signed=False,
        key="ec secp256r1",
        key_bits=128,
        key_sha256="k2",
        signature_hash="sha256",
        not_before=NOW,
        not_after=NOW + timedelta(days=1),
        der_sha256="d2",
    )
    taken = Outcome(reply=Reply.ACCEPTED, version=Version.TLS_1_3)
    return TlsSurvey(
        versions={Version.TLS_1_2: refused, Version.TLS_1_3: taken},
        suites=(0x1301, 0x1302),
        groups=(0x1D, 0x17),
        legacy_suites=(),
        weak_groups=refused,
        weak_signatures=refused,
        randoms=(bytes(range(0, 64, 2)), bytes(range(1, 65, 2)), b"\xa5\x3c" * 16),
        chain=(leaf,),
    )


def _page(text: str, status: int = 200) -> Answer:
    return Answer(status=status, headers={}, body=text.encode(), seconds=0.01)


def _pages(**changed: Answer) -> Mapping[str, Answer]:
    support = s.design().product.support
    listed = " ".join(threat.id for threat in s.design().product.threats)
    return {
        "/": _page("welcome"),
        "/security": _page(listed),
        "/.well-known/security.txt": _page(
            "Contact: mailto:security@example.com\nExpires: 2027-01-01T00:00:00Z\n"
        ),
        "mud": _page(render_mud(s.design().product, last_update=NOW, supported=True).decode()),
        "support": _page(f"<p>Supported until {support.until}.</p><p>{support.text}</p>"),
        **changed,
    }


def bare_product() -> Product:
    return s.design().product


def seen_twice(count: int) -> KernelRandomness:
    return KernelRandomness(entropy_bits=count, hardware="", processor_instruction=False)


P = "process"
# Statement: measurements that must make its check fail.
UNSOUND: Mapping[str, Callable[[], Measurements]] = {
    "R1a": lambda: product(threats=()),
    "R4b": lambda: product(development=None),
    "R4g": lambda: hosted(read_word=replace(WORD, passed=False, failed=("tests-ran",))),
    "R2.1a": lambda: hosted(read_processes=s.processes_with("gateway", seccomp_mode=0)),
    "R2.1b": lambda: hosted(read_open_files=(12, (OpenFile("keeper/idevid.key", 0o644),))),
    "R2.1d": lambda: hosted(probe_datagrams=(Echo(1900, 90, 3000),)),
    "R2.1f": lambda: hosted(
        read_processes=s.processes_with("app", sockets=(s.socket(23), s.socket(2323)))
    ),
    "R2.1.1a": lambda: product(threats=bare_product().threats[:2]),
    "R2.1.1b": lambda: threats(measures=(), acceptance=None),
    "R2.2.5a": lambda: hosted(read_factory=Factory(5, {"serial": 5, "certificate_sha256": 4})),
    "R2.3.4": lambda: hosted(meet_impostor=Meeting(connections=2, trusting=1, said=())),
    "R2.4.1a": lambda: hosted(
        read_repository=s.repository(
            roles={"timestamp": replace(s.role("timestamp", "t"), expires=NOW)}
        )
    ),
    "R2.4.4": lambda: hosted(read_repository=s.repository(releases=(s.manifest(step=1_000_000),))),
    "R2.4.5a": lambda: hosted(
        read_slots=(Slot(name="a", version="1.0.0", recorded="a1", found="b2"),)
    ),
    "R2.4.5c": lambda: hosted(
        read_repository=s.repository(
            roles={**s.repository().roles, "releases/thermostat": s.role("r", "k", "hmac-sha256")}
        )
    ),
    "R2.5b": lambda: hosted(read_vendor_keys={"k1": THERMOSTAT}),
    "R2.6.1a": lambda: hosted(
        read_processes=s.processes_with("app", mapped=s.Mapped(1, 4096))
    ),
    "R2.6.2": lambda: hosted(read_processes=s.processes_with("keeper", sockets=(s.socket(99),))),
    "R3.1a": lambda: hosted(read_kernel_randomness=seen_twice(12)),
    "R3.1b": lambda: hosted(read_noise_source=NoiseSource("failing", "stuck")),
    "R4a": lambda: {read_history: History(commits=9, anonymous=1, people=2, uncommitted=0)},
    "R4c": lambda: hosted(read_tests=0),
    "R4d": lambda: hosted(read_watch=s.watch(looked_at=NOW - timedelta(days=9))),
    "R4e": lambda: {read_locks: (Lock("limpet.txt", 30, 29),)},
    "R4f": lambda: hosted(read_watch=s.watch(releases=(s.watched("1.0.0"),))),
    "R5.1a": lambda: hosted(read_pages=_pages(support=_page("Supported for a long time."))),
    "R5.1b": lambda: hosted(read_pages=_pages(support=_page("", 404))),
    "R5.1c": lambda: hosted(
        read_watch=s.watch(open_fixable=1, oldest_fixable_at=NOW - timedelta(days=91))
    ),
    "R5.3a": lambda: {**hosted(), read_label_text: "Example Instruments Thermostat"},
    "R5.4": lambda: hosted(read_pages=_pages(**{"/security": _page("", 404)})),
}  # fmt: skip
# Statement: the verdict over sound measurements.
SOUND: Mapping[str, Verdict] = {
    "R1a": Verdict.ATTESTED,
    "R1b": Verdict.ATTESTED,
    "R2.1.1a": Verdict.PASS,
    "R2.1.1b": Verdict.PASS,
    "R2.1f": Verdict.PASS,
    "R2.2.3b": Verdict.PASS,
    "R2.4.1a": Verdict.PASS,
    "R2.4.3a": Verdict.PASS,
    "R2.4.3b": Verdict.NOT_APPLICABLE,
    "R2.4.4": Verdict.PASS,
    "R2.4.5a": Verdict.PASS,
    "R2.4.5b": Verdict.PASS,
    "R2.4.5c": Verdict.PASS,
    "R2.5b": Verdict.PASS,
    "R2.6.1a": Verdict.PASS,
    "R2.6.1b": Verdict.PASS,
    "R2.6.2": Verdict.PASS,
    "R3.1a": Verdict.PASS,
    "R3.1b": Verdict.PASS,
    "R3.1c": Verdict.ATTESTED,
    "R4b": Verdict.ATTESTED,
    "R4c": Verdict.PASS,
    "R4d": Verdict.PASS,
    "R4f": Verdict.PASS,
    "R4g": Verdict.PASS,
    "R5.1a": Verdict.PASS,
    "R5.1b": Verdict.PASS,
    "R5.1c": Verdict.PASS,
    "R5.1d": Verdict.PASS,
    "R5.1e": Verdict.NOT_APPLICABLE,
    "R5.4": Verdict.PASS,
}


def run(statement: str, measurements: Measurements) -> Finding:
    target = Target(
        device=DEVICE,
        device_root_pem=b"",
        product_dir=THERMOSTAT,
        device_dir=THERMOSTAT,
        vendor=Endpoint("127.0.0.1", 9443),
        vendor_dir=THERMOSTAT,
        observations=seeded(measurements),
        now=lambda: NOW,
    )
    return load_checks((statement,))[0].run(target)


@pytest.mark.parametrize("statement", UNSOUND)
def test_an_unsound_product_fails_the_check_that_is_there_for_it(statement: str) -> None:
    finding = run(statement, UNSOUND[statement]())
    assert finding.verdict is Verdict.FAIL, finding.evidence


@pytest.mark.parametrize("statement", SOUND)
def test_a_sound_product_has_the_verdict_that_its_evidence_allows(statement: str) -> None:
    finding = run(statement, hosted())
    assert finding.verdict is SOUND[statement], finding.evidence


def test_a_log_without_a_refusal_shows_nothing() -> None:
    finding = run("R2.4.5b", hosted(read_device_log=(LogLine("started", ""),)))
    assert finding.verdict is Verdict.COULD_NOT_DETERMINE


def test_one_release_shows_nothing_about_interfaces() -> None:
    finding = run("R2.4.3a", hosted(read_repository=s.repository(releases=(s.manifest(),))))
    assert finding.verdict is Verdict.COULD_NOT_DETERMINE


def test_a_changed_interface_is_attested_by_the_manifests() -> None:
    releases = (s.manifest("1.0.0"), s.manifest("2.0.0", interface=2))
    measurements = hosted(read_repository=s.repository(releases=releases))
    assert run("R2.4.3a", measurements).verdict is Verdict.ATTESTED
    assert run("R2.4.3b", measurements).verdict is Verdict.ATTESTED
    assert run("R5.1e", measurements).verdict is Verdict.PASS
    unjudged = hosted(
        read_repository=s.repository(releases=releases), read_word=replace(WORD, evidence={})
    )
    assert run("R5.1e", unjudged).verdict is Verdict.NOT_YET


def test_a_plan_beyond_the_signed_step_fails() -> None:
    plans = (s.plan(10_000), s.plan(900_000, 10_000))
    finding = run("R2.4.4", hosted(read_repository=s.repository(plans=plans)))
    assert finding.verdict is Verdict.FAIL


def test_a_release_key_that_is_also_online_fails() -> None:
    roles = {**s.repository().roles, "releases/thermostat": s.role("r", "key of timestamp")}
    finding = run("R2.4.5c", hosted(read_repository=s.repository(roles=roles)))
    assert finding.verdict is Verdict.FAIL


def test_a_label_with_all_three_is_attested_and_never_more() -> None:
    text = "Example Instruments Thermostat hardware A1"
    name = bare_product().model.display_name
    finding = run("R5.3a", {**hosted(), read_label_text: f"{text} {name}"})
    assert finding.verdict is Verdict.ATTESTED


def test_a_stuck_generator_fails() -> None:
    stuck = replace(_survey(), randoms=(b"\x07" * 32, b"\x07" * 32))
    assert run("R3.1a", hosted(survey_device=stuck)).verdict is Verdict.FAIL
    biased = replace(_survey(), randoms=(b"\x01" * 32, b"\x02" * 32))
    assert run("R3.1a", hosted(survey_device=biased)).verdict is Verdict.FAIL


def test_a_support_date_that_nobody_promised_fails_and_a_signed_one_passes() -> None:
    identity = {"support": {"until": "2033-01-01T00:00:00Z", "text": "After that it goes on."}}
    assert run("R5.1a", hosted(read_identity=identity)).verdict is Verdict.FAIL
    signed = SupportStatement(
        model="thermostat",
        until=datetime(2033, 1, 1, tzinfo=UTC),
        after=AfterSupport.KEEPS_WORKING_LOCALLY,
        text="Security updates until 2033. After that it keeps heating.",
        issued_at=NOW,
    )
    measurements = hosted(read_identity=identity, read_repository=s.repository(support=(signed,)))
    assert run("R5.1a", measurements).verdict is Verdict.PASS


def test_a_page_that_is_silent_about_the_time_after_fails() -> None:
    pages = _pages(support=_page("Security updates until 2031-12-31, free of charge."))
    assert run("R5.1b", hosted(read_pages=pages)).verdict is Verdict.FAIL


def test_a_gap_in_confinement_is_named() -> None:
    gap = ConfinementGap(mechanism=Confinement.LANDLOCK, rationale="The kernel is too old for it.")
    finding = run("R2.6.1b", product(confinement_gaps=(gap,)))
    assert "landlock" in finding.evidence


def test_a_device_whose_updates_were_turned_off_by_its_owner_shows_nothing_by_itself() -> None:
    target = Target(
        device=DEVICE,
        token="t",
        device_root_pem=b"",
        observations=seeded({read_update_status: {"policy": {"automatic": False}}, **hosted()}),
        product_dir=THERMOSTAT,
        now=lambda: NOW,
    )
    finding = load_checks(("R2.4.2a",))[0].run(target)
    assert finding.verdict is Verdict.COULD_NOT_DETERMINE
