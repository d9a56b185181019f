"""A real device fetches a real release: through a proxy only, cut in the middle, within its memory.

Vendor, boot, confinement and all roles are real; between them stands a proxy (tinyproxy), or a line
that breaks.
"""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import msgspec
import pytest
from tests.device.workshop import Running, running
from tests.end_to_end.living_device import Owner, living_device
from tests.end_to_end.test_update import EXAMPLE, HASTE, World, now, order
from tests.https.test_proxy import tinyproxy
from tests.product.namespaces import need_namespaces

from limpet.device.updater.ledger import load_ledger
from limpet.firmware.image import build_image
from limpet.release import build_release
from limpet.vendor.factory.station import Station, load_factory_image
from limpet.vendor.home import Home, create, open_home
from limpet.wire.rollout import PlannedRelease

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(900)]
VENDOR, VENDOR_AT = "vendor.example.com", "127.0.0.77"
MIB = 1 << 20
PROXY = "proxy.internal:3128"
LARGE_MIB = 64
MOST_KIB = 24 << 10
SETTLED_SECONDS = 3.0  # of no growth: a check takes less
"""What the updater may need more for it than for looking: see docs/updates.md."""


class Line:
    """A relay to `target` that breaks each connection after `allowance` bytes of its answers, or,
    if it `hangs`, brings no more of them."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.allowance: int | None = None
        self.hangs = threading.Event()
        self._closed = threading.Event()
        self.brought = self.breaks = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
                # What the relay itself has in its kernel is lost with it, too.
                near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
                far = socket.create_connection(self._target)
            except OSError:
                return
            threading.Thread(target=self._send, args=(near, far), daemon=True).start()
            threading.Thread(target=self._bring, args=(far, near), daemon=True).start()

    def _send(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def _bring(self, far: socket.socket, near: socket.socket) -> None:
        came = 0
        with suppress(OSError), near, far:
            while data := far.recv(65536):
                came += len(data)
                if self.allowance is not None and came > self.allowance:
                    if self.hangs.is_set():
                        self._closed.wait()
                        return
                    self.breaks += 1
                    reset = struct.pack("ii", 1, 0)
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                    near.shutdown(socket.SHUT_RD)  # the other thread lets go of it, too
                    return
                near.sendall(data)
                self.brought += len(data)


def _product(base: Path) -> Path:
    product = base / "product"
    shutil.copytree(EXAMPLE, product, ignore=shutil.ignore_patterns(".*", "__pycache__", "tests"))
    design = product / "product.toml"
    text = design.read_text()
    for slow, fast in HASTE.items():
        text = text.replace(slow, fast)
    design.write_text(text)
    return product


def _swell(product: Path, mib: int) -> Path:
    """The product with so much more that does not compress."""
    large = product.with_name(f"large-{mib}")
    shutil.copytree(product, large)
    source = Random(mib)  # noqa: S311 (content of a file)
    with (large / "app" / "table.bin").open("wb") as file:
        for _ in range(mib):
            file.write(source.randbytes(MIB))
    return large


def _release(world: World, version: str, product: Path) -> PlannedRelease:
    """Without a delta, and packed lightly: what it brings gives no reward for the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(build_image.__kwdefaults__, "level", 1)
        out = world.home.root.parent / f"release-{version}"
        build_release(order(world.home, product, version), out)
    return world.publish(version)


@contextmanager
def _serving(home: Home, listen: str = "127.0.0.1:0") -> Iterator[str]:
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(home.root)]
    vendor = subprocess.Popen([*command, "--listen", listen], stdout=subprocess.PIPE, text=True)
    try:
        assert vendor.stdout is not None
        yield vendor.stdout.readline().rpartition("https://")[2].strip()
    finally:
        vendor.terminate()
        vendor.wait(60)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("transfer")
    product = _product(base)
    home = create(base / "vendor", product, now=now(), unsafe_without_gate=True)
    build_release(order(home, product, "1.0.0"), base / "release-1.0.0")
    return base


@pytest.fixture
def made(fresh: Path, tmp_path: Path) -> tuple[Home, Path]:
    """A vendor of the test's own: a device takes no release that another test offered."""
    base = shutil.copytree(fresh, tmp_path / "made")
    return open_home(base / "vendor"), base / "product"


def _device(home: Home) -> Path:
    image = load_factory_image(home.root.parent / "release-1.0.0")
    station = Station(home, clock=now)
    place = home.root.parent / "devices"
    return Path(next(iter(station.make(image, place, count=1))).directory)


def _peak(pid: int) -> int:
    """VmHWM, KiB."""
    lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _settled(device: Running) -> tuple[int, int]:
    """The updater that has loaded what a check needs, and its most memory until then."""
    found = (0, 0)

    def grows_no_more() -> bool:
        nonlocal found
        with suppress(OSError, StopIteration, LookupError):
            pid = device.pid_of("updater")
            last, found = found, (pid, _peak(pid))
            time.sleep(SETTLED_SECONDS)
            return found == last
        return False

    _wait("the updater's memory grows on", grows_no_more, device)
    return found


def _is_confirmed(device: Running, version: str) -> bool:
    record = device.state.record_of(device.state.good)
    return device.state.trial is None and record is not None and record.version == version


def _wait(what: str, look: Callable[[], bool], device: Running, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not look():
        told = "\n".join(f"{e.role} {e.event}: {e.detail[:200]}" for e in device.log()[-12:])
        assert time.monotonic() < end, f"{what}\n{told}"
        time.sleep(0.05)


def test_a_device_behind_a_proxy_enrolls_reports_and_updates(
    made: tuple[Home, Path], tmp_path: Path
) -> None:
    """The device knows no address but the proxy's: who looks the vendor up is the proxy."""
    need_namespaces()
    home, product = made
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{VENDOR_AT} {VENDOR}\n")
    mounted = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']
    under = [*mounted, str(hosts)]
    with (
        _serving(home, f"{VENDOR_AT}:443"),
        tinyproxy(tmp_path, "ConnectPort 443", under=under) as (port, log),
    ):
        options = ("--proxy", PROXY, "--resolve", f"{PROXY}=127.0.0.1:{port}")
        directory = _device(home)
        with running(directory, *options) as device:
            _wait("it did not enroll", device.has_enrolled, device)
            assert f"CONNECT {VENDOR}:443" in log.read_text()
            world = World(home, device, product, product)
            world.offer(world.release("1.1.0"))
            _wait("not updated", lambda: _is_confirmed(device, "1.1.0"), device)
            _wait("the vendor does not know", lambda: world.reported("confirmed"), device)


def _own_address() -> str:
    """An address of this machine that is not its loopback's, where nothing leaves it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address of a network: no such proxy was set")
        return str(asked.getsockname()[0])


@pytest.mark.slow
def test_an_owner_sets_a_proxy_with_credentials_at_a_port_that_was_closed_before(
    tmp_path: Path,
) -> None:
    """The confined updater is allowed no other port: it starts anew, and has this one."""
    at = _own_address()
    with living_device(tmp_path / "living") as living:
        owner = Owner(living)
        owner.claim()
        vendor_port = _vendor_port(living.device)
        with tinyproxy(
            tmp_path, f"ConnectPort {vendor_port}", "ConnectPort 443", "BasicAuth me secret", at=at
        ) as (port, log):
            policy = owner.ask("GET", "/v1/update")[1]["policy"]
            proxy = {"host": at, "port": port, "user": "me", "password": "secret"}
            status, said = owner.ask("PUT", "/v1/update/policy", {**policy, "proxy": proxy})
            assert status == 204, said
            _wait("not anew", lambda: living.device.has_logged("proxy-port"), living.device)

            def asked() -> bool:
                owner.ask("POST", "/v1/update/check")
                return f"CONNECT {VENDOR}:443" in log.read_text()

            _wait("the proxy was not asked", asked, living.device)
            shown = owner.ask("GET", "/v1/update")[1]
            assert shown["policy"]["proxy"] == {**proxy, "password": None}

            def told(words: str) -> bool:
                owner.ask("POST", "/v1/update/check")
                return words in owner.ask("GET", "/v1/update")[1].get("reason", "")

            # It cannot look the vendor's name up; that it was let in and asked is what counts.
            unknown = "cannot reach vendor.example.com:443 (500)"
            _wait("its answer is not named", lambda: told(unknown), living.device)
            owner.ask("PUT", "/v1/update/policy", {**policy, "proxy": {**proxy, "password": "no"}})
            refused = "user name or password"
            _wait("wrong credentials are not named", lambda: told(refused), living.device)
            assert "secret" not in "".join(entry.detail for entry in living.device.log())


def _vendor_port(device: Running) -> str:
    arguments = device.boot.args
    assert isinstance(arguments, list)
    return str(arguments[arguments.index("--resolve") + 1]).rpartition(":")[2]


def test_a_large_image_over_a_line_that_breaks_is_fetched_once_within_the_updaters_memory(
    made: tuple[Home, Path],
) -> None:
    home, product = made
    directory = _device(home)
    with _serving(home) as vendor:
        line = Line(vendor)
        resolve = ("--resolve", f"{VENDOR}:443={line.address}")
        with running(directory, *resolve) as device:
            _wait("it did not enroll", device.has_enrolled, device)
            world = World(home, device, product, product)
            release = _release(world, "1.2.0", _swell(product, LARGE_MIB))
            pid, before = _settled(device)
            line.allowance, line.brought = 9 * MIB, 0
            world.offer(release)
            peak, spooled = before, 0

            def installed() -> bool:
                nonlocal peak, spooled
                with suppress(OSError, StopIteration):
                    peak = max(peak, _peak(pid))
                    own = directory / "updater"
                    files = [f for f in own.rglob("*") if "staging" not in f.parts and f.is_file()]
                    spooled = max(spooled, sum(file.stat().st_size for file in files))
                return device.has_logged("update-installed", "1.2.0")

            _wait("not installed", installed, device)
            assert line.breaks >= LARGE_MIB // 9 - 1
            assert device.has_logged("transfer-cut")
            assert peak - before < MOST_KIB, (before, peak)
            assert spooled < 4 * MIB, "metadata and records; no image"
            lost = line.brought - LARGE_MIB * MIB
            assert lost < (line.breaks + 2) * MIB, "nothing but what was in the line is lost"
            line.allowance = None
            _wait("not confirmed", lambda: _is_confirmed(device, "1.2.0"), device)
        line.close()


@pytest.mark.slow
def test_a_device_that_dies_in_mid_transfer_goes_on_at_the_last_durable_group(
    made: tuple[Home, Path],
) -> None:
    """Every process of it at once (SIGKILL), as a cut of power does."""
    home, product = made
    directory = _device(home)
    with _serving(home) as vendor:
        line = Line(vendor)  # which brings no whole image before the end
        line.allowance = 9 * MIB
        line.hangs.set()
        with running(directory, "--resolve", f"{VENDOR}:443={line.address}") as device:
            _wait("it did not enroll", device.has_enrolled, device)
            world = World(home, device, product, product)
            world.offer(_release(world, "1.3.0", _swell(product, 24)))
            journal = directory / "updater" / "install.json"
            _wait("no group is written", lambda: _groups(journal) >= 4, device)
            for pid in device.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        line.close()
        done = _groups(journal)
        assert done >= 4
        used = load_ledger(directory / "updater" / "transfers.json")[0].bytes
        assert used > 0, "what was under way is written down"
        with running(directory, "--resolve", f"{VENDOR}:443={vendor}") as again:
            resumed = lambda: again.has_logged("transfer-resumed")  # noqa: E731
            _wait("it began anew", resumed, again)
            _wait("not installed", lambda: _is_confirmed(again, "1.3.0"), again)


def _groups(journal: Path) -> int:
    try:
        return int(msgspec.json.decode(journal.read_bytes())["groups"])
    except (OSError, ValueError, KeyError):
        return 0
