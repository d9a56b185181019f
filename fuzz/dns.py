"""The announcer's reading of datagrams, and its answers, for any bytes of anybody.

Owns the promises: a datagram is a query or `Rejected`; nobody beyond the link is answered
alone; an answer is small, can be read by a parser that is not ours, and is true.
"""

import ipaddress
from typing import NamedTuple

from limpet.device.announcer.messages import MESSAGE_BYTES, encode_name, parse_query
from limpet.device.announcer.responder import PORT, Heard, Link, Responder, Said, Service
from limpet.errors import Rejected

__all__ = ["answer_datagram"]

MOST_BYTES = 400  # of an answer of these names on one link
LEGACY, DIRECT, FAR = 1, 2, 4  # bits of the first byte
_SERVICE = Service("Room Thermostat C3D4", "th-a1b2c3d4", "thermostat", 8443)
_LINK = Link(2, (ipaddress.ip_interface("10.9.0.1/24"),))
_NEAR, _FAR = "10.9.0.2", "192.0.2.7"


class _Asker(NamedTuple):
    """What the first byte of an input says of its sender."""

    legacy: bool
    direct: bool
    far: bool


def answer_datagram(data: bytes) -> None:
    """Let a fresh responder hear `data`, twice within a second."""
    first, message = data[:1], data[1 : 2 + MESSAGE_BYTES]
    bits = first[0] if first else 0
    asker = _Asker(bool(bits & LEGACY), bool(bits & DIRECT), bool(bits & FAR))
    is_query = _judge_reading(message)
    responder = Responder(_SERVICE, [_LINK])
    heard = Heard(
        message,
        _FAR if asker.far else _NEAR,
        40000 if asker.legacy else PORT,
        _LINK.index,
        not asker.direct,
    )
    for now in (100.0, 100.5):
        said = responder.answer(heard, now=now, draw=0.5)
        if said is None:
            continue
        assert is_query, "an answer to what is no query"
        assert not asker.far or said.address is None, "an answer to one who is not on the link"
        assert now == 100.0 or said.address is not None, "the group hears it twice in a second"
        _judge_answer(said, asker)


def _judge_reading(message: bytes) -> bool:
    try:
        query = parse_query(message)
    except Rejected:
        return False
    for question in query.questions:
        encoded = encode_name(question.name)
        assert len(encoded) <= 256, "a name is too long"
        assert question.name == tuple(label.lower() for label in question.name)
    assert len(query.questions) <= 16
    assert len(query.known) <= 64
    return True


def _judge_answer(said: Said, asker: _Asker) -> None:
    """By a parser that is not ours: it must be whole, a response, and about our names."""
    from zeroconf import DNSIncoming

    assert len(said.data) <= MOST_BYTES, len(said.data)
    assert 0 <= said.delay <= 0.12
    if asker.legacy or asker.direct:
        assert said.address == _NEAR
    read = DNSIncoming(said.data)
    assert read.valid, "an answer that cannot be read"
    assert read.is_response()
    assert len(read.answers()) == read.num_answers + read.num_additionals > 0
    own = (_SERVICE.host, _SERVICE.instance.lower(), "_limpet", "_services")
    for record in read.answers():
        assert record.name.lower().startswith(own), record.name
