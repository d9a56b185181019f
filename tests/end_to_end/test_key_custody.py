"""The permanent key, in each of the three stores of a real device: used, and found nowhere else."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.device.workshop import Running, processes_of, running, until
from tests.end_to_end.living import Tap, make_device, make_home, serving
from tests.needs import need

from limpet.crypto.keys import tls_key_from_pem
from limpet.vendor.home import Home
from limpet.wire.keystore import KeyStoreSettings, parse_key_store

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end]

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
REGION_BYTES = 256 << 20


@dataclass(frozen=True)
class Held:
    """A running device, what nobody but its keeper may have, and what it sent to its vendor."""

    backend: str
    device: Running
    secrets: tuple[bytes, ...]
    tap: Tap


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("custody"))


@pytest.fixture(scope="module")
def service(home: Home) -> Iterator[str]:
    with serving(home) as address:
        yield address


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A TPM 2.0 in software; its TCTI."""
    need("swtpm", package="swtpm libtpm2-pkcs11-1", untried="no device kept its key in a TPM")
    place = tmp_path_factory.mktemp("tpm")
    sockets = (
        "--server",
        f"type=unixio,path={place}/s,mode=0666",  # for the keeper, whoever it is
        "--ctrl",
        f"type=unixio,path={place}/s.ctrl,mode=0666",
    )
    command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={place}", *sockets]
    process = subprocess.Popen(
        [*command, "--flags", "not-need-init,startup-clear"], stderr=subprocess.DEVNULL
    )
    try:
        yield f"swtpm:path={place}/s"
    finally:
        process.terminate()
        process.wait(60)


def _settings(backend: str, request: pytest.FixtureRequest) -> KeyStoreSettings:
    if backend == "pkcs11":
        need(SOFTHSM, package="softhsm2", untried="no device kept its key in a token")
        return parse_key_store(f"pkcs11:token=limpet?module-path={SOFTHSM}")
    if backend == "tpm":
        return parse_key_store(f"tpm:{request.getfixturevalue('tpm')}")
    return parse_key_store("software")


@pytest.fixture(scope="module", params=["software", "pkcs11", "tpm"])
def held(request: pytest.FixtureRequest, home: Home, service: str) -> Iterator[Held]:
    root = make_device(home, key_store=_settings(request.param, request))
    tap = Tap(service)
    with running(root, "--resolve", f"vendor.example.com:443={tap.address}") as device:
        until(lambda: device.has_logged("enrolled"), "it was not enrolled", device)
        until(lambda: device.has_logged("enrolled", "client"), "no client certificate", device)
        yield Held(request.param, device, _secrets(root), tap)
    tap.close()


def _secrets(root: Path) -> tuple[bytes, ...]:
    """The private number as it may lie in memory and files, or the PIN that opens the token."""
    keeper = root / "keeper"
    if (keeper / "token.pin").exists():
        assert not (keeper / "idevid.key").exists()
        return ((keeper / "token.pin").read_bytes(),)
    pem = (keeper / "idevid.key").read_bytes()
    number = tls_key_from_pem(pem).private_numbers().private_value.to_bytes(32, "big")
    text = b"".join(pem.splitlines()[1:-1])
    assert number in base64.b64decode(text)
    return number, number[::-1], text[52:64]  # the text's middle is within the number


def _memory_has(pid: int, secrets: tuple[bytes, ...]) -> bool:
    """Whether the process has one of `secrets` anywhere in its memory."""
    with ExitStack() as opened:
        try:
            maps = opened.enter_context(open(f"/proc/{pid}/maps"))
            memory = opened.enter_context(open(f"/proc/{pid}/mem", "rb", 0))
            regions = maps.readlines()
        except (FileNotFoundError, ProcessLookupError):
            return False  # it has come to rest: nothing holds its memory any more
        for line in regions:
            span, rights = line.split()[:2]
            start, end = (int(number, 16) for number in span.split("-"))
            if "r" not in rights or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                continue
            assert end - start <= REGION_BYTES, "a region that this search would not cover"
            try:
                content = os.pread(memory.fileno(), end - start, start)
            except OSError:
                continue
            if any(secret in content for secret in secrets):
                return True
    return False


def _content(file: Path) -> bytes:
    """Nothing of a directory, nor of what vanishes meanwhile: device and vendor are at work."""
    try:
        return file.read_bytes() if file.is_file() else b""
    except FileNotFoundError:
        return b""


@contextmanager
def _reader(keeper: Path) -> Iterator[int]:
    """A process that keeps what it read of the keeper's directory."""
    name = "token.pin" if (keeper / "token.pin").exists() else "idevid.key"
    program = "import sys; kept = open(sys.argv[1], 'rb').read(); print(1, flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(keeper / name)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.wait(60)


def test_a_device_is_enrolled_with_the_key_in_its_store(held: Held) -> None:
    settings = (held.device.root / "keystore.toml").read_text()
    assert f'backend = "{held.backend}"' in settings
    key_file = held.device.root / "keeper" / "idevid.key"
    assert key_file.exists() == (held.backend == "software")


@pytest.mark.skipif(os.getuid() != 0, reason="only root reads the memory of confined processes")
def test_no_other_process_of_the_device_has_the_key_in_its_memory(held: Held) -> None:
    keeper = held.device.find_pid("keeper")  # none where it rests already
    others = [pid for pid in processes_of(held.device.root) if pid != keeper]
    assert len(others) >= 6  # boot, supervisor, four roles
    assert [pid for pid in others if _memory_has(pid, held.secrets)] == []
    # The same search finds it in a process that has read the keeper's file; the keeper itself
    # clears it after each use.
    with _reader(held.device.root / "keeper") as reader:
        assert _memory_has(reader, held.secrets)


def test_no_other_file_of_device_or_vendor_holds_the_key(held: Held, home: Home) -> None:
    keeper = held.device.root / "keeper"
    found = [
        file
        for place in (held.device.root, home.root)
        for file in place.rglob("*")
        if any(secret in _content(file) for secret in held.secrets)
    ]
    assert len(found) == 1  # the same search finds it where it is
    assert found[0].parent == keeper
    assert found[0].stat().st_mode & 0o777 == 0o600


def test_no_byte_sent_to_the_vendor_holds_the_key(held: Held) -> None:
    sent = bytes(held.tap.sent)
    assert sent.count(b"vendor.example.com") >= 1  # the name in the clear: bytes were kept
    assert not any(secret in sent for secret in held.secrets)
