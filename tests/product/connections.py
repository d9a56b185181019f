"""Run inside a network namespace: serves at some ports, or says which ports answer.

`connections.py serve '[["tcp", "::", 443]]'` answers every connection and datagram with "hello";
`connections.py ask '{"name": "a.example", "server": "127.0.0.1"}'` prints a name's address;
`connections.py call '{"ways": [...], "due": [...], "source": ""}'` prints which of the ways it was
answered on; it waits for those that are due, and no shorter for the others.
"""

import json
import socket
import struct
import sys
import threading
import time

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
PATIENCE = 60.0  # for an answer that is due
SECONDS = 1.5  # an answer takes a millisecond; a dropped packet is sent again after a second


def main() -> None:
    """Do what the arguments say."""
    given = json.loads(sys.argv[2])
    if sys.argv[1] == "serve":
        for protocol, address, port in given:
            threading.Thread(target=serve, args=(listener(protocol, address, port),)).start()
        print("ready", flush=True)
        time.sleep(120)
        return
    if sys.argv[1] == "ask":
        print(ask(given["name"], given["server"]))
        return
    print(json.dumps(answered(given["ways"], given["due"], given["source"])))


def listener(protocol: str, address: str, port: int) -> socket.socket:
    """A socket of both families where the address is `::`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, KINDS[protocol])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind((address, port))
    if protocol == "tcp":
        made.listen()
    return made


def serve(made: socket.socket) -> None:
    """Answer for ever."""
    while True:
        if made.type == socket.SOCK_DGRAM:
            _, peer = made.recvfrom(100)
            made.sendto(b"hello", peer)
        else:
            connection, _ = made.accept()
            connection.sendall(b"hello")
            connection.close()


def answered(ways: list, due: list, source: str) -> list:
    """Those of `ways` that something answered on, while the `due` ones were waited for."""
    found: list = []
    calls = {
        json.dumps(way): threading.Thread(target=call, args=(way, source, found), daemon=True)
        for way in ways
    }
    for one in calls.values():
        one.start()
    for way in due:
        calls[json.dumps(way)].join()
    end = time.monotonic() + SECONDS  # whoever is due was as slow as the machine is
    for one in calls.values():
        one.join(max(end - time.monotonic(), 0))
    return list(found)


def call(way: list, source: str, found: list) -> None:
    """Note `way` if something answers there."""
    protocol, address, port = way
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, KINDS[protocol]) as made:
        made.settimeout(PATIENCE)
        try:
            if source:
                made.bind((source, 0))
            made.connect((address, port))
            if protocol == "udp":
                made.send(b"?")
            if made.recv(5) == b"hello":
                found.append(way)
        except OSError:
            return


def ask(name: str, server: str) -> str:
    """A question of type A (RFC 1035, 4.1), repeated until it is answered; its last four bytes."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 1, 1)
    for _ in range(50):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.settimeout(1)
            try:
                made.connect((server, 53))
                made.send(question)
                answer = made.recv(512)
            except OSError:
                time.sleep(0.1)  # it is still starting
                continue
            if struct.unpack_from(">H", answer, 6)[0] == 1:
                return socket.inet_ntoa(answer[-4:])
        time.sleep(0.1)
    return ""


main()
