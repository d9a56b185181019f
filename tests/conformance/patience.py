"""A pytest plug-in for tuf-conformance's own run: its servers wait for requests, not spin.

The suite polls its server with a time-out of 0 for as long as the client runs, which takes a
whole core from the client. Nothing that it judges depends on it.
"""

from typing import Any

from tuf_conformance._internal import simulator_server

POLL_SECONDS = 0.005


def _waiting(server: Any) -> float:
    return POLL_SECONDS


def _ignored(server: Any, value: float) -> None:
    """What the suite sets."""


for _kind in (simulator_server.SimulatorServer, simulator_server.StaticServer):
    _kind.timeout = property(_waiting, _ignored)
