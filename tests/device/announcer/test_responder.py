"""The rules of the responder and the reading of messages, without a network: pure."""

import contextlib
import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.device.announcer.messages import (
    MESSAGE_BYTES,
    Kind,
    encode_name,
    name_of,
    parse_query,
)
from limpet.device.announcer.responder import Heard, Link, Responder, Said, Service
from limpet.errors import Rejected

SERVICE = "_limpet._tcp.local"
INSTANCE = encode_name(name_of("Room Thermostat C3D4", "_limpet", "_tcp", "local"))
LINK = Link(2, (ipaddress.ip_interface("10.9.0.1/24"),))
BOTH = Link(3, (ipaddress.ip_interface("fd00::1/64"), ipaddress.ip_interface("fe80::1/64")))


def responder() -> Responder:
    return Responder(
        Service("Room Thermostat C3D4", "th-a1b2c3d4", "thermostat", 8443), [LINK, BOTH]
    )


def query(*names: str, kind: int = Kind.PTR, of_class: int = 1, known: bytes = b"") -> bytes:
    asked = b"".join(
        encode_name(name_of(*name.split("."))) + struct.pack(">2H", kind, of_class)
        for name in names
    )
    return struct.pack(">6H", 7, 0, len(names), bool(known), 0, 0) + asked + known


def ask(
    one: Responder, data: bytes, *, address: str = "10.9.0.2", port: int = 5353, index: int = 2,
    to_group: bool = True, now: float = 100.0,
) -> Said | None:  # fmt: skip
    return one.answer(Heard(data, address, port, index, to_group), now=now, draw=0.5)


def known(ttl: int) -> bytes:
    fixed = struct.pack(">2HIH", Kind.PTR, 1, ttl, len(INSTANCE))
    return encode_name(name_of("_limpet", "_tcp", "local")) + fixed + INSTANCE


def test_a_pointer_leads_to_service_text_and_address_after_a_random_moment() -> None:
    said = ask(responder(), query(SERVICE))
    assert said is not None
    assert said.address is None
    assert 0.02 <= said.delay <= 0.12
    assert INSTANCE in said.data
    for part in (struct.pack(">H", 8443), b"api=1", b"model=thermostat", bytes([10, 9, 0, 1])):
        assert part in said.data


def test_nothing_is_told_but_model_serial_number_and_port() -> None:
    for said in responder().announcements():
        for word in (b"claim", b"owner", b"code", b"1.0.0"):
            assert word not in said.data.lower()


@pytest.mark.parametrize(
    ("address", "index"),
    [("192.0.2.7", 2), ("10.9.1.1", 2), ("2001:db8::1", 3), ("10.9.0.2", 1), ("10.9.0.2", 9),
     ("nonsense", 2)],
)  # fmt: skip
@pytest.mark.parametrize(
    ("port", "to_group", "of_class"),
    [(5353, False, 1), (5353, True, 0x8001), (40000, True, 1), (40000, False, 1)],
)
def test_nobody_who_is_not_on_the_link_is_answered_alone(
    address: str, index: int, port: int, to_group: bool, of_class: int
) -> None:
    one = responder()
    data = query(SERVICE, of_class=of_class)
    assert ask(one, data, address=address, index=index, port=port, to_group=to_group) is None
    near = "10.9.0.2" if index != 3 else "fe80::2"
    there = index if index in (2, 3) else 2
    assert ask(one, data, address=near, index=there, port=port, to_group=to_group) is not None


def test_the_group_is_answered_on_its_link_whatever_network_the_asker_is_in() -> None:
    said = ask(responder(), query(SERVICE), address="192.0.2.7")
    assert said is not None
    assert (said.address, said.index) == (None, 2)
    for index in (1, 9):
        assert ask(responder(), query(SERVICE), index=index) is None


def test_the_group_hears_a_record_once_a_second() -> None:
    one = responder()
    heard = [ask(one, query(SERVICE), now=100 + n / 100) for n in range(300)]
    assert sum(said is not None for said in heard) == 3


def test_single_askers_together_get_ten_answers_a_second() -> None:
    one = responder()
    heard = [
        ask(one, query(SERVICE), port=40000 + n % 1000, address=f"10.9.0.{2 + n % 200}",
            now=100 + n / 1000)
        for n in range(5000)
    ]  # fmt: skip
    assert 20 + 45 <= sum(said is not None for said in heard) <= 20 + 51


def test_an_asker_with_a_port_of_its_own_gets_its_number_and_short_times_back() -> None:
    said = ask(responder(), query("th-a1b2c3d4.local", kind=Kind.A), port=4000)
    assert said is not None
    assert (said.address, said.port) == ("10.9.0.2", 4000)
    number, flags, questions, answers, _, more = struct.unpack_from(">6H", said.data)
    assert (number, flags, questions, answers, more) == (7, 0x8400, 1, 1, 0)
    fixed = struct.pack(">2HIH", Kind.A, 1, 10, 4)
    assert said.data.endswith(fixed + bytes([10, 9, 0, 1]))


def test_many_questions_that_point_to_one_long_name_are_not_given_back() -> None:
    header = struct.pack(">6H", 7, 0, 16, 0, 0, 0)
    first = query("th-a1b2c3d4.local", kind=Kind.A)[12:]
    long = encode_name((b"x" * 63,) * 3 + (b"x" * 61,)) + struct.pack(">2H", Kind.A, 1)
    pointers = struct.pack(">3H", 0xC000 | 12 + len(first), Kind.A, 1) * 14
    assert ask(responder(), header + first + long + pointers, port=4000) is None
    told = ask(responder(), header + first + long + pointers)  # the group, which gets none back
    assert told is not None
    assert len(told.data) < 400


def test_who_asks_for_a_reply_alone_or_asked_us_alone_gets_it_alone() -> None:
    one = responder()
    unicast = ask(one, query(SERVICE, of_class=0x8001))
    assert unicast is not None
    assert (unicast.address, unicast.port) == ("10.9.0.2", 5353)
    direct = ask(one, query(SERVICE), to_group=False)
    assert direct is not None
    assert direct.address == "10.9.0.2"


def test_what_the_asker_knows_well_is_not_repeated() -> None:
    one = responder()
    assert ask(one, query(SERVICE, known=known(2250))) is None
    assert ask(one, query(SERVICE, known=known(2249))) is not None


def test_a_kind_of_address_that_there_is_not_is_answered_by_that() -> None:
    one = responder()
    four = ask(one, query("th-a1b2c3d4.local", kind=Kind.AAAA))
    assert four is not None
    assert encode_name(name_of("th-a1b2c3d4", "local")) + bytes([0, 1, 0x40]) in four.data
    six = ask(one, query("th-a1b2c3d4.local", kind=Kind.A), address="fe80::2", index=3)
    assert six is not None
    assert bytes([0, 4, 0, 0, 0, 8]) in six.data


@pytest.mark.parametrize("name", ["local", "th-a1b2c3d5.local", "_http._tcp.local", "x.local"])
def test_another_name_is_nobodys_business(name: str) -> None:
    assert ask(responder(), query(name, kind=Kind.ANY)) is None


def test_a_goodbye_takes_all_of_it_back() -> None:
    for said in responder().announcements(goodbye=True):
        answers = struct.unpack_from(">6H", said.data)[3]
        assert said.data.count(struct.pack(">I", 0)) >= answers
    assert struct.pack(">HI", 0x8001, 120) in responder().announcements()[0].data


@given(st.binary(max_size=MESSAGE_BYTES + 10))
def test_any_bytes_are_a_query_or_refused(data: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert len(parse_query(data).questions) <= 16


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=12),
    st.integers(0, 200),
)
def test_a_query_that_was_meddled_with_is_answered_within_its_bounds(
    changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(query(SERVICE, "th-a1b2c3d4.local", known=known(100)))
    for place, value in changes:
        data[place % len(data)] = value
    said = ask(responder(), bytes(data[: len(data) - cut]), port=4000)
    assert said is None or len(said.data) < 1200


def test_a_name_that_points_to_itself_or_forwards_ends() -> None:
    header = struct.pack(">6H", 0, 0, 1, 0, 0, 0)
    for name in (b"\xc0\x0c", b"\xc0\x0e", b"\x01a\xc0\x0c", b"\xc0\xff"):
        with pytest.raises(Rejected):
            parse_query(header + name + b"\0\x0c\0\x01" + b"\0" * 300)
