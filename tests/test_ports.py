"""A held port: nobody answers there, nobody else is given it, and its test may serve there."""

import socket
import subprocess
import sys

import pytest
from tests.ports import held_port
from tests.product.namespaces import need_namespaces

ALL_OTHERS = """
import socket
from tests.ports import held_port

def listens():
    return socket.create_server(("127.0.0.1", 0))

def calls():
    return socket.create_connection(("127.0.0.1", 9000))

with held_port() as port, socket.create_server(("127.0.0.1", 9000), backlog=100):
    for take in (listens, calls):
        taken = []
        try:
            while len(taken) < 100:
                taken.append(take())
        except OSError:
            pass
        print(len(taken), port in {one.getsockname()[1] for one in taken})
        for one in taken:
            one.close()
"""


def test_whoever_connects_to_a_held_port_is_refused() -> None:
    with held_port() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_server_may_take_a_held_port_and_leave_it_again() -> None:
    with held_port() as port:
        for _ in range(2):
            with (
                socket.create_server(("127.0.0.1", port)) as server,
                socket.create_connection(("127.0.0.1", port)),
            ):
                server.accept()[0].close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_a_held_port_is_given_to_nobody_who_listens_or_calls_at_any() -> None:
    """In a network that has fifty such ports, until there is no other."""
    need_namespaces()
    few = "echo 40000 40049 > /proc/sys/net/ipv4/ip_local_port_range"
    command = ["unshare", "--net", "sh", "-c", f'ip link set lo up && {few} && exec "$@"', "-"]
    words = [*command, sys.executable, "-c", ALL_OTHERS]
    done = subprocess.run(words, capture_output=True, text=True, timeout=150)
    assert done.stdout.splitlines() == ["49 False", "49 False"], done.stderr
