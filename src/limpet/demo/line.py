"""The line of one device to its vendor: a relay on this machine that breaks when it is told to.

Owns the breaking and what it counts. Sees TLS records only, as every line does.
"""

import contextlib
import socket
import struct
import threading

__all__ = ["Line"]

_READ = 16 << 10
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what lies in the buffers is lost, as in life


class Line:
    """Open until `close`; `brought` counts the bytes that the device got since `break_after`."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._left: int | None = None
        self._lock = threading.Lock()
        self.brought, self.broken = 0, False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where the device finds its vendor."""
        return int(self._server.getsockname()[1])

    def break_after(self, count: int) -> None:
        """Break once, after `count` more bytes to the device."""
        with self._lock:
            self._left, self.brought, self.broken = count, 0, False

    def close(self) -> None:
        """Take no further connection."""
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            threading.Thread(target=self._send, args=(near, far), daemon=True).start()
            threading.Thread(target=self._bring, args=(far, near), daemon=True).start()

    def _send(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(_READ):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def _bring(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near, far:
            while data := far.recv(_READ):
                if self._breaks(len(data)):
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    near.shutdown(socket.SHUT_RD)  # the other thread lets go of it, too
                    return
                near.sendall(data)

    def _breaks(self, count: int) -> bool:
        """Whether the line breaks before these bytes; they count only if it does not."""
        with self._lock:
            if self._left is not None and self.brought + count > self._left:
                self._left, self.broken = None, True
                return True
            self.brought += count
            return False
