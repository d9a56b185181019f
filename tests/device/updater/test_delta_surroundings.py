"""A delta on a server that misbehaves, over real TLS, and on a disk that is full in its midst."""

import dataclasses
import errno
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.device.updater.attacks import Case
from tests.device.updater.bench import Bench
from tests.device.updater.failing_disk import FailingDisk, failing
from tests.device.updater.mirror import Asked, Mirror, mirror_of
from tests.device.updater.signed_delta import offer_by_delta
from tests.device.updater.simulator import RepositorySimulator
from tests.device.updater.test_bad_servers import answers, endless_body
from tests.device.updater.test_full_disk import NEVER, Disk, meet
from tests.https.conftest import Identity, identity

from limpet.device.updater import engine
from limpet.device.updater.check import Outcome
from limpet.device.updater.surroundings import Surroundings, make_line
from limpet.firmware.tree import digest_tree

__all__ = ["identity"]

Behaviour = Callable[[Mirror, Asked], None]


def serving(repository: RepositorySimulator, deltas: Behaviour, asked_for: list[str]) -> Behaviour:
    """An honest server of all but the deltas; `asked_for` gets the kind of each large file."""

    def serve(mirror: Mirror, asked: Asked) -> None:
        path = asked.head.split(" ")[1].removeprefix("/repository/").replace("%2F", "/")
        data, kind = repository.files.get(path), path.split("/")[0]
        if kind in ("deltas", "images"):
            asked_for.append(kind)
        if data is None:
            asked.say("404 Not Found", "content-length: 0")
        elif kind in ("deltas", "images"):
            mirror.data = data
            (deltas if kind == "deltas" else honest)(mirror, asked)
        else:
            asked.say("200 OK", f"content-length: {len(data)}", body=data)

    return serve


def make_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(around: Surroundings, **named: Any) -> Any:
        return dataclasses.replace(make_line(around, **named), patience_seconds=0.5)

    monkeypatch.setattr(engine, "make_line", impatient)


def honest(mirror: Mirror, asked: Asked) -> None:
    part = mirror.data[asked.first : asked.end]
    asked.say(
        "206 Partial Content",
        f"content-range: bytes {asked.first}-{asked.first + len(part) - 1}/{len(mirror.data)}",
        f"content-length: {len(part)}",
        body=part,
    )


def another_range(mirror: Mirror, asked: Asked) -> None:
    asked.say(
        "206 Partial Content",
        f"content-range: bytes {asked.first + 7}-{asked.end + 6}/{len(mirror.data) + 7}",
        f"content-length: {asked.end - asked.first}",
        body=mirror.data[: asked.end - asked.first],
    )


def a_longer_file(mirror: Mirror, asked: Asked) -> None:
    """The delta itself, and bytes behind it for ever."""
    asked.say("200 OK", "transfer-encoding: chunked")
    data = mirror.data
    asked.tls.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    while True:
        asked.tls.sendall(b"2000\r\n" + bytes(0x2000) + b"\r\n")


def endless_zeros(mirror: Mirror, asked: Asked) -> None:
    endless_body(mirror, asked)


def silent(mirror: Mirror, asked: Asked) -> None:
    asked.tls.settimeout(1.0)
    asked.tls.recv(1)


DELTA, IMAGE, WAITS = ["deltas"], ["deltas", "images"], ["deltas"]
SERVERS: dict[str, tuple[Behaviour, Outcome, str, list[str]]] = {
    "is honest": (honest, Outcome.READY, "", DELTA),
    "goes on behind the end": (a_longer_file, Outcome.READY, "", DELTA),
    "sends zeros for ever": (endless_zeros, Outcome.READY, "", IMAGE),
    "sends another range": (another_range, Outcome.READY, "", IMAGE),
    "redirects": (answers("302 Found", "location: https://x/"), Outcome.READY, "", IMAGE),
    "has none": (answers("404 Not Found"), Outcome.READY, "", IMAGE),
    "fails": (answers("500 Sorry"), Outcome.UNAVAILABLE, "unexpected-answer", WAITS),
    "says nothing": (silent, Outcome.UNAVAILABLE, "unreachable", WAITS),
    "has a page": (answers("200 OK", body=b"<!doctype html>"), Outcome.READY, "", IMAGE),
}  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_of_a_delta_that_misbehaves_costs_bytes_or_time_and_nothing_else(
    bench: Bench,
    repository: RepositorySimulator,
    work: Path,
    identity: Identity,
    server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    behaviour, outcome, reason, fetched = SERVERS[server]
    offer_by_delta(Case(bench, repository, work))
    make_impatient(monkeypatch)
    asked_for: list[str] = []
    serve = serving(repository, behaviour, asked_for)
    with mirror_of(b"", identity, serve) as mirror:
        bench.source = mirror.source()
        began = time.monotonic()
        result = bench.check()
        assert time.monotonic() - began < 90
    assert (result.outcome, result.reason) == (outcome, reason), result
    assert list(dict.fromkeys(asked_for)) == fetched
    assert digest_tree(bench.root / "slots" / "a") == bench.tree_before
    if outcome is not Outcome.READY:
        bench.assert_untouched()
        bench.source = None
        assert bench.check().outcome is Outcome.READY, "once the server is well"
    assert digest_tree(bench.root / "slots" / "b") == digest_tree(work / "tree-1.1.0")


class DeltaDisk(Disk):
    """As a disk of the other tests, with a release that comes by a delta."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        work = place / "work"
        shutil.rmtree(work / "tree-1.1.0")
        offer_by_delta(Case(self.device(), self.repository, work))
        self.tree = digest_tree(work / "tree-1.1.0")


def test_a_disk_that_is_full_in_the_midst_of_a_delta_is_named_and_waited_for(
    tmp_path: Path,
) -> None:
    """The disk fills at every sixth of the calls that come after the delta was first asked for."""
    disk = DeltaDisk(tmp_path)
    bench, began = disk.device(), []
    with failing(FailingDisk(bench.root, errno.ENOSPC, NEVER)) as sound:
        disk.repository.chunk_hooks.append(lambda path, offset: began.append(len(sound.calls)))
        assert bench.check().outcome is Outcome.READY
    disk.repository.chunk_hooks.clear()
    assert len(sound.calls) - began[0] > 15, "much is still to be written"
    assert not any(path.startswith("images/") for path in disk.repository.asked)
    for at in range(began[0], len(sound.calls), 6):
        assert meet(disk, errno.ENOSPC, at, lasting=True) == "disk-full", sound.calls[at]
