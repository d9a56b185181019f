"""A device made of the firmware that is judged, started, and looked at: what it opens.

These are the specimens of `interfaces-as-declared`; its firmware carries no packages, and runs on
those of this machine.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.device.workshop import lacking_here
from tests.needs import need
from tests.release.gate.bench import STARTS_A_DEVICE, Bench
from tests.release.gate.bundles import PROGRAMS, Bundles

from limpet.demo.world import bear_gaps
from limpet.release import Form
from limpet.release.gate import RULES, Verdict, _trial, open_subject, run_gate

_OF_PACKAGES = {"components-locked", "sbom-matches", "vulnerabilities-addressed"}
BARE = tuple(one for one in RULES if one.id not in _OF_PACKAGES)
STARTING = tuple(one for one in RULES if one.id == STARTS_A_DEVICE)
PATIENCE = 240.0  # seconds; the machine is shared


MAINTENANCE = """
[[interfaces]]
id = "maintenance"
description = "For the people who mend it."
direction = "in"
transport = "tcp"
protocol = "lines"
port = 2324
authentication = ["password"]

[[interfaces]]
id = "weather"
description = "The forecast for the owner's region."
direction = "out"
used_by = "app"
transport = "tcp"
protocol = "HTTPS (HTTP/1.1 over TLS 1.3)"
port = 8443
hosts = ["vendor.example.com"]
authentication = ["server-certificate"]

[[threats]]
id = "mending-by-anybody"
description = "Somebody else mends it."
interfaces = ["maintenance", "weather"]
measures = ["tls-only"]
"""
LISTENS = """
import socket

MAINTENANCE = socket.create_server(("", 2323))
"""


@pytest.fixture(scope="module")
def bare(sound: Bench, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The sound product, on what this machine has."""
    bench = sound.copy(tmp_path_factory.mktemp("opened") / "bench")
    bear_gaps(bench.product / "product.toml", lacking_here())
    bench.rebuild("For this machine", packages=None)
    return bench


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary directories come to be; a test that leaves a process there has failed."""
    with tempfile.TemporaryDirectory(prefix="opened-") as directory:
        monkeypatch.setattr(tempfile, "tempdir", directory)
        monkeypatch.setenv("TMPDIR", directory)
        yield Path(directory)
        assert running_in(Path(directory)) == []


def running_in(place: Path) -> list[int]:
    """The processes whose command names something below `place`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if bytes(place) in words:
                found.append(int(entry.name))
    return found


def test_a_firmware_that_opens_what_it_declares_passes_and_nothing_of_the_trial_is_left(
    bare: Bench, place: Path
) -> None:
    finding = bare.finding(STARTS_A_DEVICE)
    assert finding.verdict is Verdict.PASSED, finding
    assert finding.evidence == (
        "a device was started in a network of its own",
        "announcer opens udp port 5353 (0.0.0.0)",
        "announcer opens udp port 5353 (::)",
        "gateway opens tcp port 8443 (0.0.0.0)",
    )
    assert list(place.iterdir()) == []
    assert running_in(place) == []


def test_a_block_image_is_tried_as_well(bare: Bench, tmp_path: Path) -> None:
    need("mksquashfs", package="squashfs-tools", untried="no block image was judged")
    bench = bare.copy(tmp_path / "bench")
    bench.build(form=Form.BLOCK, packages=None)
    finding = bench.finding(STARTS_A_DEVICE)
    assert finding.verdict is Verdict.PASSED, finding


def test_a_port_that_the_app_opens_and_one_that_it_only_promises_are_refused_by_this_rule_alone(
    bare: Bench, tmp_path: Path
) -> None:
    """A product whose design and code name different ports. Its app has a way out, and so the
    machine's network; the device cuts it off before the app is loaded, and tells the line."""
    bench = bare.copy(tmp_path / "bench")
    design = bench.product / "product.toml"
    design.write_text(design.read_text() + MAINTENANCE)
    functions = bench.product / "app" / "thermostat" / "functions.py"
    functions.write_text(source := functions.read_text() + LISTENS)
    bench.rebuild("Mend it from afar", interface_version=2, packages=None)
    judged = {one.rule: one.finding for one in bench.judge(BARE).judgements}
    refused = {rule for rule, one in judged.items() if one.verdict is Verdict.REFUSED}
    assert refused == {STARTS_A_DEVICE}, judged
    assert [one.text for one in judged[STARTS_A_DEVICE].faults] == [
        "app: the product opens a network while it is loaded: thermostat/functions.py line"
        f' {len(source.splitlines())}: MAINTENANCE = socket.create_server(("", 2323))',
        "maintenance: it declares tcp port 2324, which nothing opens",
    ]


def test_a_port_that_the_app_in_a_bundle_opens_is_refused_by_this_rule_alone(
    bare: Bench, tmp_path: Path
) -> None:
    need(*PROGRAMS, package="rauc squashfs-tools openssl", untried="no bundle was tried")
    bench = bare.copy(tmp_path / "bench")
    bundles = Bundles.found(tmp_path / "rauc")
    bundles.introduce(bench)
    functions = bench.product / "app" / "thermostat" / "functions.py"
    functions.write_text(functions.read_text() + LISTENS)
    bench.rebuild("Listen", form=Form.BUNDLE, packer=bundles.packer(), packages=None)
    judged = {one.rule: one.finding for one in bench.judge(BARE).judgements}
    refused = {rule for rule, one in judged.items() if one.verdict is not Verdict.PASSED}
    assert refused == {STARTS_A_DEVICE}, judged
    (fault,) = judged[STARTS_A_DEVICE].faults
    assert "the product opens a network while it is loaded" in fault.text


def test_a_port_that_a_changed_runtime_opens_is_refused_by_the_name_of_its_process(
    bare: Bench,
) -> None:
    with open_subject(bare.product, bare.release, now=datetime.now(UTC)) as subject:
        gateway = subject.tree / "runtime" / "limpet" / "device" / "gateway" / "role.py"
        _rewrite(gateway, gateway.read_text() + LISTENS)
        (judgement,) = run_gate(subject, STARTING).judgements
    assert judgement.finding.verdict is Verdict.REFUSED
    assert [one.text for one in judgement.finding.faults] == [
        "gateway opens tcp port 2323 (0.0.0.0), which is not declared"
    ]


def test_a_firmware_whose_gateway_cannot_start_is_inconclusive_in_the_devices_own_words(
    bare: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_trial, "ANSWER_SECONDS", 15.0)
    with open_subject(bare.product, bare.release, now=datetime.now(UTC)) as subject:
        gateway = subject.tree / "runtime" / "limpet" / "device" / "gateway" / "role.py"
        _rewrite(gateway, f'{gateway.read_text()}\nraise RuntimeError("no gateway today")\n')
        (judgement,) = run_gate(subject, STARTING).judgements
    assert judgement.finding.verdict is Verdict.INCONCLUSIVE
    said = judgement.finding.faults[0].text
    assert said.startswith("the device did not answer within 15 s; it said: ")
    assert "no gateway today" in said


def test_a_firmware_that_no_factory_can_make_a_device_of_is_inconclusive(bare: Bench) -> None:
    with open_subject(bare.product, bare.release, now=datetime.now(UTC)) as subject:
        supervisor = subject.tree / "runtime" / "limpet" / "device" / "supervisor" / "__main__.py"
        _rewrite(supervisor, 'raise RuntimeError("no supervisor today")\n')
        (judgement,) = run_gate(subject, STARTING).judgements
    assert judgement.finding.verdict is Verdict.INCONCLUSIVE
    assert "the device" in judgement.finding.faults[0].text


def test_the_whole_gate_runs_as_an_ordinary_user(bare: Bench) -> None:
    """Without any right outside the namespace that an ordinary user may make."""
    ordinary = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    can_be = subprocess.run([*ordinary, "true"], capture_output=True, timeout=150)
    if can_be.returncode != 0:
        pytest.skip(f"no user namespace here: {can_be.stderr.decode().strip()}")
    command = [sys.executable, "-m", "limpet", "release", "check", str(bare.product), "--json"]
    done = subprocess.run(
        [*ordinary, *command, "--release", str(bare.release)],
        capture_output=True,
        timeout=180,
    )
    judgements = {one["rule"]: one["finding"] for one in json.loads(done.stdout)["judgements"]}
    assert judgements.keys() == {one.id for one in RULES}
    assert judgements[STARTS_A_DEVICE]["verdict"] == "passed", judgements[STARTS_A_DEVICE]


def test_a_gate_that_is_killed_leaves_no_device_running(bare: Bench, place: Path) -> None:
    script = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from limpet.release.gate import RULES, open_subject, run_gate\n"
        "rules = [one for one in RULES if one.id == sys.argv[3]]\n"
        "with open_subject(*map(Path, sys.argv[1:3]), now=datetime.now(UTC)) as subject:\n"
        "    run_gate(subject, rules)\n"
    )
    words = [str(bare.product), str(bare.release), STARTS_A_DEVICE]
    with subprocess.Popen([sys.executable, "-c", script, *words]) as gate:
        try:
            until(lambda: "gateway" in names(place))
        finally:
            gate.send_signal(signal.SIGKILL)
    until(lambda: running_in(place) == [])


def names(place: Path) -> set[str]:
    """What the processes of the trial call themselves."""
    found = set()
    for pid in running_in(place):
        try:
            found.add(Path(f"/proc/{pid}/comm").read_text().strip())
        except OSError:
            continue
    return found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def _rewrite(source: Path, text: str) -> None:
    """Another source, and no byte code of the one before, which Python would run."""
    source.write_text(text)
    for code in source.parent.glob(f"__pycache__/{source.stem}.*.pyc"):
        code.unlink()
