"""One image over real sockets, from a server that cuts, drips, lies, refuses or never ends."""

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.device.updater.mirror import Asked, Mirror, mirror_of, send_part, serve_range
from tests.https.conftest import Identity, identity

from limpet.device.updater.ledger import DAY_BYTES, FILE_BYTES, lease, save_ledger
from limpet.device.updater.pacing import MAX_FRUITLESS
from limpet.device.updater.source import Busy, FileRefused
from limpet.device.updater.transfer import FRUIT_BYTES, Account, DaySpent, Line, Transfer
from limpet.errors import Rejected, Unavailable

__all__ = ["identity"]

PIECE = 100_000
DATA = random.Random(4).randbytes(12 * PIECE + 5)  # noqa: S311 (content of a file)
PATH = "images/x.img"


class Reading:
    """A transfer and what it told; pauses are noted, and not waited."""

    def __init__(self, mirror: Mirror, place: Path, **changes: object) -> None:
        self.told: list[tuple[str, str]] = []
        self.pauses: list[float] = []
        self.account = Account(place / "transfers.json")
        fields: dict[str, object] = {
            "bandwidth": None,
            "monotonic": time.monotonic,
            "now": lambda: datetime.now(UTC),
            "random": lambda: 0.0,
            "pause": lambda seconds: self.pauses.append(seconds) if seconds else None,
            "tell": lambda event, detail: self.told.append((event, detail)),
        }
        line = Line(**(fields | changes))  # type: ignore[arg-type]
        self.transfer = Transfer(
            mirror.source(), PATH, len(mirror.data), account=self.account, line=line
        )

    def all(self, begin: int = 0) -> bytes:
        """The file from `begin` on, piece by piece."""
        read = bytearray()
        with self.transfer as transfer:
            while begin + len(read) < len(DATA):
                at = begin + len(read)
                read += transfer.read(at, min(PIECE, len(DATA) - at))
        return bytes(read)


Start = Callable[..., Mirror]


@pytest.fixture
def start(identity: Identity) -> Iterator[Start]:
    from contextlib import ExitStack

    with ExitStack() as running:
        yield lambda behaviour=serve_range, data=DATA: running.enter_context(
            mirror_of(data, identity, behaviour)
        )


def test_one_request_serves_every_piece(start: Start, tmp_path: Path) -> None:
    mirror = start()
    reading = Reading(mirror, tmp_path)
    assert reading.all() == DATA
    assert mirror.starts == [0]
    assert f"range: bytes=0-{len(DATA) - 1}\r\n" in mirror.asked[0].head.lower()
    use = reading.account.ledger
    assert (use.bytes, use.tries) == (len(DATA), 0), "every byte is accounted, none twice"


def test_a_part_that_is_there_is_not_asked_for(start: Start, tmp_path: Path) -> None:
    mirror = start()
    reading = Reading(mirror, tmp_path)
    assert reading.all(begin=PIECE) == DATA[PIECE:]
    assert mirror.starts == [PIECE]
    assert reading.told[0][0] == "transfer-resumed"


@pytest.mark.parametrize("how", ["reset", "orderly"])
def test_after_any_cut_it_goes_on_at_the_byte_that_is_missing(
    start: Start, tmp_path: Path, how: str
) -> None:
    """Also where the line never holds for as long as one piece."""

    def cutting(mirror: Mirror, asked: Asked) -> None:
        send_part(mirror, asked, FRUIT_BYTES + 1000)
        if how == "orderly":
            raise ConnectionError  # TLS and TCP end, the body does not
        time.sleep(0.1)  # so that it arrives before the reset throws it away
        asked.cut()

    mirror = start(cutting)
    reading = Reading(mirror, tmp_path)
    assert reading.all() == DATA
    assert len(mirror.starts) == len(DATA) // (FRUIT_BYTES + 1000) + 1
    assert reading.transfer.fetched == len(DATA), "no byte came twice"
    assert {round(pause, 1) for pause in reading.pauses} == {0.5}, "progress keeps pauses short"
    assert reading.account.ledger.tries <= 1


def test_tries_that_bring_nothing_wait_longer_and_end(start: Start, tmp_path: Path) -> None:
    def silent(mirror: Mirror, asked: Asked) -> None:
        send_part(mirror, asked, 10)
        raise ConnectionError

    mirror = start(silent)
    reading = Reading(mirror, tmp_path)
    with pytest.raises(Unavailable):
        reading.all()
    assert len(mirror.asked) == MAX_FRUITLESS + 1
    assert reading.pauses == [1.0, 2.0, 4.0, 8.0]
    assert reading.account.ledger.tries == MAX_FRUITLESS + 1, "fruitless tries are remembered"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 416, 451, 301, 307])
def test_a_final_answer_is_final(start: Start, tmp_path: Path, status: int) -> None:
    elsewhere = start()

    def refusing(mirror: Mirror, asked: Asked) -> None:
        where = f"location: https://localhost:{elsewhere.port}/{PATH}"
        asked.say(f"{status} So", "content-length: 0", where)

    mirror = start(refusing)
    with pytest.raises(FileRefused) as refused:
        Reading(mirror, tmp_path).all()
    assert (refused.value.status, len(mirror.asked)) == (status, 1)
    assert str(status) in refused.value.message
    assert elsewhere.asked == [], "no redirect is followed"


@pytest.mark.parametrize("status", [408, 425, 500, 502, 504])
def test_what_may_pass_is_tried_again(start: Start, tmp_path: Path, status: int) -> None:
    def failing_first(mirror: Mirror, asked: Asked) -> None:
        if asked.number < 2:
            asked.say(f"{status} So", "content-length: 0")
        else:
            serve_range(mirror, asked)

    mirror = start(failing_first)
    reading = Reading(mirror, tmp_path)
    assert reading.all() == DATA
    assert len(mirror.asked) == 3
    assert reading.pauses == [1.0, 2.0]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(
    start: Start, tmp_path: Path, status: int
) -> None:
    def busy(mirror: Mirror, asked: Asked) -> None:
        asked.say(f"{status} Busy", "retry-after: 120", "content-length: 0")

    mirror = start(busy)
    with pytest.raises(Busy) as told:
        Reading(mirror, tmp_path).all()
    assert (told.value.retry_after, len(mirror.asked)) == (120.0, 1)


def test_a_server_that_drips_is_left_and_the_rest_is_fetched_anew(
    start: Start, tmp_path: Path
) -> None:
    """It is never silent for long: only a least rate tells it from a slow line."""

    def dripping(mirror: Mirror, asked: Asked) -> None:
        if asked.number:
            serve_range(mirror, asked)
            return
        send_part(mirror, asked, PIECE)
        for at in range(PIECE, len(DATA)):
            asked.tls.sendall(mirror.data[at : at + 1])
            time.sleep(0.1)

    mirror = start(dripping)
    reading = Reading(mirror, tmp_path, patience_seconds=1.5)
    began = time.monotonic()
    assert reading.all() == DATA
    assert 1.0 < time.monotonic() - began < 60
    assert len(mirror.asked) == 2
    assert mirror.starts[1] >= PIECE
    assert any("slow" in text or "in time" in text for _, text in reading.told)


def test_a_slow_server_above_the_least_rate_is_borne(start: Start, tmp_path: Path) -> None:
    """The control: as irregular, and a little faster than the rule asks."""
    data = DATA[:20_000]

    def slow(mirror: Mirror, asked: Asked) -> None:
        send_part(mirror, asked, 0)
        for at in range(0, len(data), 1000):
            asked.tls.sendall(data[at : at + 1000])
            time.sleep(0.3)

    mirror = start(slow, data)
    reading = Reading(mirror, tmp_path, patience_seconds=1.5)
    with reading.transfer as transfer:
        assert transfer.read(0, len(data)) == data
    assert len(mirror.asked) == 1


@pytest.mark.parametrize(
    "head",
    [
        "content-range: bytes 7-99/{size}",
        "content-range: bytes 0-99/{more}",
        "content-range: nonsense",
        "x-none: 1",
    ],
)
def test_another_range_than_asked_is_refused(start: Start, tmp_path: Path, head: str) -> None:
    def lying(mirror: Mirror, asked: Asked) -> None:
        line = head.format(size=len(DATA), more=len(DATA) + 1)
        asked.say("206 Partial Content", line, "content-length: 100", body=DATA[:100])

    mirror = start(lying)
    with pytest.raises(Rejected) as refused:
        Reading(mirror, tmp_path).all()
    assert refused.value.reason == "malformed"
    assert len(mirror.asked) == 1


def test_a_server_without_ranges_may_send_all_of_it_but_not_from_the_middle(
    start: Start, tmp_path: Path
) -> None:
    def whole(mirror: Mirror, asked: Asked) -> None:
        asked.say("200 OK", f"content-length: {len(DATA)}", body=DATA)

    mirror = start(whole)
    assert Reading(mirror, tmp_path).all() == DATA
    with pytest.raises(Rejected) as refused:
        Reading(mirror, tmp_path).all(begin=PIECE)
    assert refused.value.reason == "malformed"


def test_a_body_that_never_ends_is_read_to_the_signed_size(start: Start, tmp_path: Path) -> None:
    def endless(mirror: Mirror, asked: Asked) -> None:
        asked.say("200 OK", "transfer-encoding: chunked")
        asked.tls.sendall(b"%x\r\n" % len(DATA) + DATA + b"\r\n")
        while True:
            asked.tls.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    reading = Reading(start(endless), tmp_path)
    assert reading.all() == DATA
    assert reading.transfer.fetched <= len(DATA) + (64 << 10)


def test_a_limit_is_kept_on_a_real_line(start: Start, tmp_path: Path) -> None:
    mirror = start()
    reading = Reading(mirror, tmp_path, bandwidth=600_000, pause=time.sleep)
    began = time.monotonic()
    assert reading.all() == DATA
    assert time.monotonic() - began >= len(DATA) / 600_000 - 0.5
    assert len(mirror.asked) == 1


@pytest.mark.parametrize(("used", "left"), [(FILE_BYTES - PIECE, PIECE), (FILE_BYTES, 0)])
def test_not_a_byte_more_than_the_day_has_is_fetched(
    start: Start, tmp_path: Path, used: int, left: int
) -> None:
    mirror, now = start(), datetime.now(UTC)
    file = tmp_path / "transfers.json"
    save_ledger(file, lease(Account(file).ledger, PATH, used, now))
    reading = Reading(mirror, tmp_path)
    with pytest.raises(DaySpent) as spent:
        reading.all()
    assert "384 MiB of today's 384 MiB for one release are used, again at" in spent.value.message
    assert left <= reading.transfer.fetched <= left + (64 << 10 if left else 0)
    assert len(mirror.asked) == (1 if left else 0)
    assert reading.account.ledger.bytes < DAY_BYTES
