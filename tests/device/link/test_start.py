"""Arguments between boot, supervisor and roles: read back as written, anything else refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.device.link import messages as m
from limpet.device.link.permits import Role, is_permitted
from limpet.device.link.start import (
    Start,
    parse_address,
    parse_resolve,
    parse_start,
    start_arguments,
)
from limpet.errors import Rejected

STARTS = st.builds(
    Start,
    role=st.sampled_from(Role),
    root=st.just(Path("/devices/one")),
    slot=st.sampled_from(["a", "b"]),
    links=st.dictionaries(st.sampled_from(Role), st.integers(3, 99)),
    handover=st.none() | st.integers(3, 99),
    parent=st.integers(0, 99999),
    factory=st.booleans(),
    options=st.just({"listen": ("127.0.0.1:0",), "resolve": ("v.example:443=127.0.0.1:1",)}),
)


@given(STARTS)
def test_a_start_is_read_back_as_it_was_written(start: Start) -> None:
    if start.role not in start.links:  # nobody has a link to itself
        assert parse_start(start_arguments(start)) == start


GOOD = ("--role", "gateway", "--root", "/d", "--slot", "a")


@pytest.mark.parametrize(
    "bad",
    [
        (),
        (*GOOD, "--unknown", "x"),
        (*GOOD, "x"),
        (*GOOD, "--parent"),
        (*GOOD, "--parent", "x"),
        (*GOOD, "--handover", "1.5"),
        GOOD[2:],
        GOOD[:2],
        (*GOOD, "--link", "{}"),  # no abbreviations
        ("--role", "root", "--root", "/d", "--slot", "a"),
        ("--role", "gateway", "--root", "/d", "--slot", "../a"),
        (*GOOD, "--links", "[]"),
        (*GOOD, "--links", '{"keeper>accounts": 5}'),
        (*GOOD, "--links", '{"gateway>nobody": 5}'),
        (*GOOD, "--links", '{"gateway": 5}'),
        (*GOOD, "--links", '{"gateway>keeper": "x"}'),
        (*GOOD, "--links", "{" + " " * 20_000 + "}"),
    ],
)
def test_any_other_argument_is_refused(bad: tuple[str, ...]) -> None:
    with pytest.raises(Rejected):
        parse_start(bad)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:8443", ("127.0.0.1", 8443)), ("[::1]:0", ("::1", 0)), ("h:65535", ("h", 65535))],
)
def test_an_address_is_host_and_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "8443", ":8443", "h:", "h:x", "h:-1", "h:65536", "h:٣"])
def test_what_is_no_address_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(Rejected, match="HOST:PORT"):
        parse_address(text)


def test_a_resolution_names_both_ends() -> None:
    assert parse_resolve(["v.example:443=127.0.0.1:1"]) == {"v.example:443": "127.0.0.1:1"}
    with pytest.raises(Rejected, match="names no address"):
        parse_resolve(["v.example:443"])


def test_only_the_supervisor_may_ask_for_a_claim_code_or_an_identity() -> None:
    requests = (
        (Role.ACCOUNTS, m.MintClaimCode()),
        (Role.KEEPER, m.GenerateIdentity(model="m", hardware_revision="A1", serial="TH-1")),
        (Role.KEEPER, m.StoreIdentity(chain_pem="")),
    )
    for callee, request in requests:
        permitted = [caller for caller in Role if is_permitted(caller, callee, request)]
        assert permitted == [Role.SUPERVISOR]


def test_only_the_updater_may_change_what_is_started() -> None:
    for request in (m.ConfirmTrial(), m.RejectTrial(reason="x"), m.ReadBootRecord()):
        permitted = [caller for caller in Role if is_permitted(caller, Role.SUPERVISOR, request)]
        assert permitted == [Role.UPDATER]


def test_a_reply_is_no_request() -> None:
    assert not any(is_permitted(one, other, m.Done()) for one in Role for other in Role)
