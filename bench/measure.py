"""How the bench measures: memory and CPU of processes as the kernel counts them, a cheap client.

Server work is counted in CPU seconds of the serving process, so that neither the client nor
another program on the machine is measured with it.
"""

import os
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = [
    "Client",
    "Figure",
    "cpu_seconds",
    "middle",
    "name_of",
    "on_one_core",
    "per_cpu_second",
    "pss_mib",
    "table",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. `ratio` is against the yardstick, where there is one; `met` is None
    for a figure without a target."""

    what: str
    value: float
    unit: str
    yardstick: str = ""
    yardstick_value: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return asdict(self)


def table(figures: Sequence[Figure]) -> str:
    """The figures for a person."""
    rows = [("figure", "value", "yardstick", "ratio", "target", "")]
    for one in figures:
        shown = f"{one.yardstick}: {one.yardstick_value:,.1f}" if one.yardstick_value else ""
        ratio = f"{one.ratio:.2f}" if one.ratio is not None else ""
        verdict = "" if one.met is None else ("met" if one.met else "MISSED")
        value = f"{one.value:,.2f}" if one.value < 10 else f"{one.value:,.1f}"
        rows.append((one.what, f"{value} {one.unit}", shown, ratio, one.target, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def pss_mib(pids: Sequence[int]) -> float:
    """Proportional set size of `pids`, in MiB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def name_of(pid: int) -> str:
    """Which process of a device this is: its role, as its command line has it; a role's helper
    by the name that it has in `ps`."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    role = words[words.index("--role") + 1] if "--role" in words else "boot"
    shown = Path(f"/proc/{pid}/comm").read_text().strip()
    return shown if shown.startswith(f"{role}-") else role


def cpu_seconds(pid: int) -> float:
    """What the threads of the process have used, user and system, in nanosecond steps."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


@contextmanager
def on_one_core(*pids: int) -> Iterator[None]:
    """Client and servers share a core: where the scheduler puts a server is not what is measured.

    A device is a session of its own, which the scheduler treats otherwise than a child of ours.
    """
    before = {pid: os.sched_getaffinity(pid) for pid in (0, *pids)}
    core = max(before[0])
    try:
        for pid in before:
            os.sched_setaffinity(pid, {core})
        yield
    finally:
        for pid, cores in before.items():
            os.sched_setaffinity(pid, cores)


def per_cpu_second(pid: int, count: int, work: Callable[[], None]) -> float:
    """`count` pieces of `work`, by the CPU seconds that they cost `pid`."""
    before = cpu_seconds(pid)
    for _ in range(count):
        work()
    return count / (cpu_seconds(pid) - before)


def middle(values: Sequence[float]) -> float:
    """The median of an odd number of values."""
    return sorted(values)[len(values) // 2]


class Client:
    """Speaks just enough HTTP to be cheap."""

    def __init__(self, port: int, tls: ssl.SSLContext) -> None:
        self._port, self._tls = port, tls
        self.path = b"/"
        self.token = b""
        self._open: ssl.SSLSocket | None = None

    def connect(self) -> ssl.SSLSocket:
        """A full handshake; no session is resumed."""
        raw = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        return self._tls.wrap_socket(raw, server_hostname="localhost")

    def shake_hands(self) -> None:
        """Handshake, one request, end."""
        with self.connect() as secured:
            self.exchange(secured)

    def ask(self) -> None:
        """One request on a kept connection."""
        if self._open is None:
            self._open = self.connect()
        self.exchange(self._open)

    def close(self) -> None:
        """End the kept connection."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def exchange(self, secured: ssl.SSLSocket) -> bytes:
        """One request; the body of the answer, which must be 200."""
        shown = b"Authorization: Bearer %s\r\n" % self.token if self.token else b""
        secured.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (self.path, shown))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _some(secured)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += _some(secured)
        return body


def _some(secured: ssl.SSLSocket) -> bytes:
    data = secured.recv(65536)
    if not data:
        raise ConnectionError("the server ended the connection")
    return data
