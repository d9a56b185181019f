"""What the label says, and what is read back from its QR code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.crypto.keys import pin_text
from limpet.crypto.randomness import new_claim_code
from limpet.errors import Rejected
from limpet.product import Label, LabelClaim, parse_label_uri

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE = "7K3M-Q9TX-0B4H-ZC2V"
PIN = pin_text(bytes(range(32)))
GOOD = f"limpet://claim?s=EX-0000017&c={CODE}&r={PIN}"

serials = st.from_regex(r"[A-Z0-9][A-Z0-9-]{3,31}", fullmatch=True)
groups = st.text(CROCKFORD, min_size=4, max_size=4)
codes = st.lists(groups, min_size=4, max_size=8).map("-".join)
pins = st.binary(min_size=32, max_size=32).map(pin_text)


def a_label(**changes: str) -> Label:
    parts = {
        "maker": "Example Instruments",
        "model": "thermostat",
        "hardware_revision": "A2",
        "serial": "EX-0000017",
        "claim_code": CODE,
        "support_contact": "security@example.com",
        "root_pin": PIN,
    }
    return Label(**(parts | changes))


@given(serials, codes, pins)
def test_what_is_printed_is_what_is_read(serial: str, code: str, pin: str) -> None:
    label = a_label(serial=serial, claim_code=code, root_pin=pin)
    claim = parse_label_uri(label.uri())
    assert claim == LabelClaim(serial=serial, claim_code=code, root_pin=pin)
    assert claim.uri() == label.uri()


def test_a_code_made_on_a_device_fits_its_label() -> None:
    code = new_claim_code()
    assert parse_label_uri(a_label(claim_code=code).uri()).claim_code == code


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    for foreign in (text, f"limpet://claim?{text}"):
        with pytest.raises(Rejected):
            parse_label_uri(foreign)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://claim.example/?s=EX-0000017",
        GOOD.replace("limpet:", "LIMPET:"),
        GOOD.replace("s=EX-0000017&", ""),
        GOOD + "&s=EX-0000018",
        GOOD + "&x=1",
        GOOD + "\n",
        GOOD.replace("EX-0000017", "EX/0000017"),
        GOOD.replace(CODE, CODE.replace("7", "U")),
        GOOD.replace(CODE, CODE[:-5]),
        GOOD.replace(CODE, CODE.lower()),
        GOOD[:-1],
        GOOD[:-1] + "B",
        GOOD + "#" * 300,
    ],
)
def test_a_label_that_was_changed_is_refused(text: str) -> None:
    with pytest.raises(Rejected) as refusal:
        parse_label_uri(text)
    assert refusal.value.reason == "label"


def test_the_claim_code_is_in_no_representation_and_no_error() -> None:
    label = a_label()
    for shown in (repr(label), str(label), f"{parse_label_uri(label.uri())!r}"):
        assert CODE not in shown
    with pytest.raises(Rejected) as refusal:
        a_label(claim_code=CODE + "!")
    assert CODE not in str(refusal.value)
    assert "claim code" in refusal.value.message


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("maker", ""),
        ("maker", "A\nB"),
        ("maker", "txt\u202eexe"),
        ("model", "x" * 65),
        ("hardware_revision", "A 1"),
        ("serial", "ex-1"),
        ("claim_code", "7K3M-Q9TX-0B4H"),
        ("root_pin", "A" * 42),
    ],
)
def test_a_label_part_without_its_form_is_refused_by_name(part: str, words: str) -> None:
    with pytest.raises(Rejected, match=part.replace("_", " ")):
        a_label(**{part: words})
