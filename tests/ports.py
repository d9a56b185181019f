"""Ports of loopback that are one test's own.

A port that was found free and let go may be another process's a moment later. One that is bound
and not listened at is given to nobody who asks for any port, whoever connects to it is refused, and
a server of the test's own, which sets SO_REUSEADDR as servers do (ip(7)), may take it.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["held_port"]


@contextmanager
def held_port(at: str = "127.0.0.1") -> Iterator[int]:
    """A TCP port of `at`, kept from all others until the end."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((at, 0))
        yield int(holder.getsockname()[1])
