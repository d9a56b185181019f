"""What is said to whom: every rule of RFC 6762 that a responder of one device needs. Pure.

1. A query is answered only if it arrived over a link that we announce on, and a reply alone goes
   only to a sender on that link (5.5): nobody is reflected to or amplified at from elsewhere. What
   goes to the group stays on the link, whatever the sender's address: one link may have networks
   that we have no address in.
2. An asker with another port than 5353 knows unicast DNS only (6.7), one whose question has the
   QU bit, or who asked us alone, wants a reply alone (5.4, 5.5): unicast, `UNICAST_RATE` for all
   of them together. Everybody else: the group, a record once a second at most (6). The first kind
   gets its question back, so it has exactly one (RFC 9619): many that point to one long name would
   make a short datagram's answer long.
3. A pointer that the asker knows well enough is not repeated (7.1).
4. A shared record waits for a random moment (6), so that not all devices answer at once.

The device's names hold its serial number, which its factory gave to no other device; so they are
not probed for (8.1: "SHOULD skip"), and no response of anybody is ever looked at.
"""

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from limpet.device.announcer.messages import (
    Kind,
    Name,
    Query,
    Question,
    Record,
    encode_name,
    encode_response,
    name_of,
    parse_query,
)
from limpet.errors import Rejected

__all__ = ["PORT", "Heard", "Link", "Responder", "Said", "Service"]

PORT = 5353
HOST_TTL, OTHER_TTL = 120, 4500  # RFC 6762, 10
ONCE_SECONDS = 1.0  # a record to the group; RFC 6762, 6
UNICAST_RATE, UNICAST_BURST = 10.0, 20.0  # replies a second to single askers, all together
LEAST_DELAY, DELAY_SPREAD = 0.02, 0.1  # seconds; RFC 6762, 6

_SERVICE = name_of("_limpet", "_tcp", "local")
_CATALOGUE = name_of("_services", "_dns-sd", "_udp", "local")  # RFC 6763, 9


@dataclass(frozen=True, slots=True)
class Service:
    """What is announced."""

    instance: str
    host: str
    model: str
    port: int


@dataclass(frozen=True, slots=True)
class Link:
    """One network that the device is on: what it is called there, and who else is."""

    index: int  # of the interface
    addresses: tuple[ipaddress.IPv4Interface | ipaddress.IPv6Interface, ...]

    def holds(self, address: str) -> bool:
        """Whether `address` is on this link (RFC 6762, 11)."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if found.is_link_local:
            return True
        return any(one.version == found.version and found in one.network for one in self.addresses)


@dataclass(frozen=True, slots=True)
class Heard:
    """A datagram: whence, on which interface, and whether it was sent to the group."""

    data: bytes
    address: str
    port: int
    index: int
    to_group: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A datagram to send on interface `index`; `address` is None for the group."""

    data: bytes
    index: int
    address: str | None = None
    port: int = PORT
    delay: float = 0.0  # seconds


@dataclass(slots=True)
class Responder:
    """The device's voice on its `links`."""

    service: Service
    links: Sequence[Link]
    _sent: dict[tuple[int, Name, Kind], float] = field(default_factory=dict)  # bounded by our names
    _allowance: float = UNICAST_BURST
    _counted: float = 0.0

    def announcements(self, *, goodbye: bool = False) -> list[Said]:
        """All that there is to say, once for each link; `goodbye` takes it back (10.1)."""
        said = []
        for link in self.links:
            records = [one for one in self._records(link) if one.kind is not Kind.NSEC]
            if goodbye:
                records = [Record(r.name, r.kind, 0, r.data, r.unique) for r in records]
            said.append(Said(encode_response(records), link.index))
        return said

    def answer(self, heard: Heard, *, now: float, draw: float) -> Said | None:
        """The reply, if there is one to give. `now` in seconds, steady; `draw` in [0, 1)."""
        link = next((one for one in self.links if one.index == heard.index), None)
        if link is None:  # 1.
            return None
        try:
            query = parse_query(heard.data)
        except Rejected:
            return None
        legacy = heard.port != PORT
        alone = legacy or not heard.to_group or all(q.unicast for q in query.questions)  # 2.
        if alone and not link.holds(heard.address):  # 1.
            return None
        if legacy and len(query.questions) != 1:  # 2.
            return None
        records = self._records(link)
        answers = [one for one in records if any(_fits(one, q, records) for q in query.questions)]
        answers = [one for one in answers if not _is_known(one, query)]  # 3.
        if not answers:
            return None
        if alone:
            if not self._may_reply(now):
                return None
            more = () if legacy else _more(answers, records)
            data = encode_response(answers, more, echo=query if legacy else None)
            return Said(data, link.index, heard.address, heard.port)
        answers = [one for one in answers if self._is_due(link, one, now)]
        if not answers:
            return None
        for one in answers:
            self._sent[link.index, one.name, one.kind] = now
        shared = any(not one.unique for one in answers)
        delay = LEAST_DELAY + draw * DELAY_SPREAD if shared else 0.0  # 4.
        return Said(encode_response(answers, _more(answers, records)), link.index, delay=delay)

    def _records(self, link: Link) -> list[Record]:
        """Everything that is true on `link`."""
        service = self.service
        instance = (service.instance.encode(), *_SERVICE)
        host = name_of(service.host, "local")
        target = struct.pack(">3H", 0, 0, service.port) + encode_name(host)
        text = b"".join(
            bytes([len(one)]) + one for one in (b"api=1", b"model=" + service.model.encode())
        )
        records = [
            Record(_CATALOGUE, Kind.PTR, OTHER_TTL, encode_name(_SERVICE), False),
            Record(_SERVICE, Kind.PTR, OTHER_TTL, encode_name(instance), False),
            Record(instance, Kind.SRV, HOST_TTL, target, True),
            Record(instance, Kind.TXT, OTHER_TTL, text, True),
        ]
        kinds = set()
        for address in link.addresses:
            kind = Kind.A if address.version == 4 else Kind.AAAA
            kinds.add(kind)
            records.append(Record(host, kind, HOST_TTL, address.ip.packed, True))
        # RFC 6762, 6.1: that there is no address of the other kind is said, not left to a timeout.
        bits = bytearray(max(kinds) // 8 + 1)
        for kind in kinds:
            bits[kind // 8] |= 0x80 >> kind % 8
        nothing_else = encode_name(host) + bytes([0, len(bits)]) + bytes(bits)
        return [*records, Record(host, Kind.NSEC, HOST_TTL, nothing_else, True)]

    def _is_due(self, link: Link, record: Record, now: float) -> bool:
        before = self._sent.get((link.index, record.name, record.kind))
        return before is None or now - before >= ONCE_SECONDS

    def _may_reply(self, now: float) -> bool:
        grown = self._allowance + max(now - self._counted, 0.0) * UNICAST_RATE
        self._allowance, self._counted = min(grown, UNICAST_BURST), now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True


def _fits(record: Record, question: Question, records: Sequence[Record]) -> bool:
    """A kind of address that there is not is answered by what there is (RFC 6762, 6.1)."""
    if _lower(record.name) != question.name:
        return False
    if record.kind is Kind.NSEC and question.kind in (Kind.A, Kind.AAAA):
        return all(one.kind != question.kind for one in records)
    return question.kind in (record.kind, Kind.ANY)


def _more(answers: Sequence[Record], records: Sequence[Record]) -> list[Record]:
    """What an asker would ask next (RFC 6763, 12): of a pointer the service, of that its host."""
    hosts = [one for one in records if one.kind in (Kind.A, Kind.AAAA, Kind.NSEC)]
    services = [one for one in records if one.kind in (Kind.SRV, Kind.TXT)]
    wanted: list[Record] = []
    if any(one.name == _SERVICE for one in answers):
        wanted = services + hosts
    elif any(one.name != _CATALOGUE for one in answers):
        wanted = hosts
    return [one for one in wanted if one not in answers]


def _is_known(record: Record, query: Query) -> bool:
    if record.kind is not Kind.PTR:
        return False
    return any(
        name == _lower(record.name) and target == record.data.lower() and ttl * 2 >= record.ttl
        for name, target, ttl in query.known
    )


def _lower(name: Name) -> Name:
    return tuple(label.lower() for label in name)
