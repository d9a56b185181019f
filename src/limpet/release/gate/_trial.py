"""A trial: a device is made of the firmware that is judged, started, and watched.

Owns a vendor that lives as long as the trial, because the vendor's own factory lends its keys to
nobody: the firmware gets that vendor's trust anchors in the place of its own, and is otherwise,
byte for byte, what is judged. No process and no file is left, however it ends.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any

import msgspec

from limpet.errors import Rejected, Unavailable
from limpet.firmware.image import build_image
from limpet.product import PRODUCT_FILE, Direction, Product, Transport, load_product
from limpet.release.gate import _watcher
from limpet.storage import read_bounded
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.release import ReleaseManifest

__all__ = ["ANSWER_SECONDS", "Port", "Seen", "Socket", "try_firmware"]

ANSWER_SECONDS = 60.0
"""How long a device may take until it answers: on a machine that has much else to do, too."""

LIVING_SECONDS = 2.0
"""How long it is watched once it answers and all that it declares is open."""

LATE_SECONDS = 15.0
"""How long what it declares may be missing after that."""

_USUAL_PORT = 8443
_ENDING_SECONDS = 2 * _watcher.ENDING_SECONDS
_TOLD_BYTES, _LOG_BYTES, _LOG_LINES = 1 << 20, 2 << 20, 3
_QUICK = 1  # of zstd's levels
_LOOK_SECONDS = 0.2
_NOWHERE = "127.0.0.1:1"
_REFUSED = "network-refused"  # of the device's log: the product was not run because of it

Port = tuple[str, int]
"""A transport and a port's number."""


class Socket(msgspec.Struct, frozen=True, array_like=True):
    """A socket of the device's that takes what anybody sends to it."""

    transport: str  # as in `_watcher.Open`
    address: str
    port: int
    holder: str  # a process of the device; "": not known

    @property
    def key(self) -> Port:
        """What it is compared by."""
        return self.transport, self.port

    @property
    def is_way_in(self) -> bool:
        """Whether it can be reached from outside; an abstract Unix socket cannot."""
        return self.transport != "unix"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of the device."""

    shared_because: str  # why it had no network of its own; "": it had
    answered: bool
    ended: bool  # by itself
    sockets: tuple[Socket, ...]
    refused: tuple[str, ...] = ()  # what the device says that it kept its product from opening


def try_firmware(
    tree: Path,
    manifest: ReleaseManifest,
    wanted: Sequence[Port],
    *,
    clock: Callable[[], datetime],
    given_up: Event,
) -> Seen:
    """Start a device of `manifest`'s firmware, which lies unpacked in `tree`, and watch it.

    It is given time to open what is `wanted`, and told to listen on the first TCP port of that:
    where a device listens is said by whoever starts it. `clock` is this machine's, since the
    device goes by it. Raises `Unavailable` with the device's own words if none can be made of
    it, or it does not answer within `ANSWER_SECONDS`; and soon after `given_up` was set.
    """
    with tempfile.TemporaryDirectory(prefix="limpet-trial-") as place:
        work = Path(place)
        work.chmod(0o711)  # the device's users must come through where they see all of the machine
        try:
            device = _make_device(tree, manifest, work, clock)
        except Rejected as error:
            raise Unavailable(f"no device can be made of it: {error.message}") from error
        said = work / "said"
        seen = _watch(_order(device, wanted, load_product(tree / PRODUCT_FILE)), said, given_up)
        if not seen.answered:
            what = "ended" if seen.ended else f"did not answer within {ANSWER_SECONDS:g} s"
            words = "; ".join((*_log(device), *_text(said).splitlines()[-_LOG_LINES:]))
            raise Unavailable(f"the device {what}; it said: {words or 'nothing'}")
        return msgspec.structs.replace(seen, refused=_refused(device))


def _make_device(
    tree: Path, manifest: ReleaseManifest, work: Path, clock: Callable[[], datetime]
) -> Path:
    from limpet.vendor.factory.station import FactoryImage, Station
    from limpet.vendor.home import create

    suites = sorted((tree / "runtime" / "limpet" / "crypto" / "suites").glob("*.toml"))
    if len(suites) != 1:
        raise Rejected("not-firmware", f"its runtime has {len(suites)} suites of algorithms")
    home = create(work / "vendor", tree / PRODUCT_FILE, now=clock(), suite=suites[0])
    copy = work / "tree"
    shutil.copytree(tree, copy)
    for anchor in (copy / "trust").iterdir():
        if (home.trust / anchor.name).exists():
            anchor.unlink()
            shutil.copy(home.trust / anchor.name, anchor)
    image = build_image(copy, work / "image.img", level=_QUICK)
    shutil.rmtree(copy)
    changed = msgspec.structs.replace(manifest, image=image, deltas=())
    made_of = FactoryImage(
        manifest=changed,
        manifest_sha256=sha256(encode_json(changed)).hexdigest(),
        image=work / "image.img",
    )
    (made,) = Station(home, clock=clock).make(
        made_of,
        work / "devices",
        count=1,
        hardware_revision=manifest.hardware_revisions[0],
    )
    return Path(made.directory)


def _order(device: Path, wanted: Sequence[Port], design: Product) -> dict[str, Any]:
    command = [sys.executable, "-I", "-m", "limpet.device.boot", str(device), "--end-with-parent"]
    for called in sorted(_called(design)):
        command += ["--resolve", f"{called}={_NOWHERE}"]
    return {
        "command": command,
        "parent": os.getpid(),
        "wanted": wanted,
        "port": next((port for transport, port in wanted if transport == "tcp"), _USUAL_PORT),
        "answer": ANSWER_SECONDS,
        "living": LIVING_SECONDS,
        "late": LATE_SECONDS,
    }


def _called(design: Product) -> Iterator[str]:
    """Every HOST:PORT that it may call: none of them is to hear of a trial."""
    yield from (f"{host}:443" for host in design.vendor.hosts)
    for one in design.interfaces:
        if one.direction is Direction.OUT and one.transport is Transport.TCP:
            yield from (f"{host}:{one.port}" for host in one.hosts)


def _watch(order: dict[str, Any], said: Path, given_up: Event) -> Seen:
    """Run the watcher, which ends when this process does, and then ends the device."""
    command = [sys.executable, "-I", "-S", _watcher.__file__, msgspec.json.encode(order).decode()]
    bound = ANSWER_SECONDS + LATE_SECONDS + _ENDING_SECONDS
    with said.open("wb") as errors:
        watcher = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        try:
            told = _hear(watcher, time.monotonic() + bound, given_up)
            if told is None:
                why = "was given up" if given_up.is_set() else f"did not end within {bound:g} s"
                raise Unavailable(f"the trial {why}")
        finally:
            _end(watcher)
    if watcher.returncode != 0:
        raise Unavailable(f"the device could not be watched: {_text(said)[-_LOG_LINES * 200 :]}")
    return decode_json(told, Seen, max_bytes=_TOLD_BYTES)


def _hear(watcher: subprocess.Popen[bytes], deadline: float, given_up: Event) -> bytes | None:
    """All that it says; None if it is not to be waited for any longer."""
    while not given_up.is_set() and time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            told: bytes = watcher.communicate(timeout=_LOOK_SECONDS)[0]
            return told
    return None


def _end(watcher: subprocess.Popen[bytes]) -> None:
    if watcher.poll() is None:
        watcher.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            watcher.wait(_ENDING_SECONDS)
        watcher.kill()  # the kernel then kills what it has started
        watcher.wait()
    if watcher.stdout is not None:
        watcher.stdout.close()


def _log(device: Path) -> Iterator[str]:
    """The last warnings and errors of the device's log, as "role event: detail"."""
    told = [one for one in _entries(device) if one.get("level") != "info"]
    for one in told[-_LOG_LINES:]:
        yield f"{one.get('role')} {one.get('event')}: {one.get('detail', '')}"


def _refused(device: Path) -> tuple[str, ...]:
    """What the product tried to open, each once: it is tried again at each start of the app."""
    told = [one for one in _entries(device) if one.get("event") == _REFUSED]
    return tuple(dict.fromkeys(f"{one.get('role')}: {one.get('detail', '')}" for one in told))


def _entries(device: Path) -> list[dict[str, str]]:
    lines = _text(device / "log" / "device.log").splitlines()
    try:
        return [msgspec.json.decode(line, type=dict[str, str]) for line in lines]
    except msgspec.DecodeError:
        return []


def _text(path: Path) -> str:
    try:
        return read_bounded(path, max_bytes=_LOG_BYTES).decode("utf-8", "replace").strip()
    except Unavailable:
        return ""
