"""Run inside a network namespace: serves at some ports, or says which ports answer.

`connections.py serve '[["tcp", "::", 443]]'` answers every connection and datagram with "hello";
`connections.py ask '{"name": "a.example", "server": "127.0.0.1"}'` prints a name's address;
`connections.py call '{"ways": [...], "source": ""}'` prints which of the ways it was answered on.
"""

import json
import socket
import struct
import sys
import threading
import time

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
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
    found = []
    calls = [
        threading.Thread(target=call, args=(way, given["source"], found)) for way in given["ways"]
    ]
    for one in calls:
        one.start()
    for one in calls:
        one.join()
    print(json.dumps(found))


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


def call(way: list, source: str, found: list) -> None:
    """Note `way` if something answers there."""
    protocol, address, port = way
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, KINDS[protocol]) as made:
        made.settimeout(SECONDS)
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
