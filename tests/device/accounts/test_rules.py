"""What a new password may be, and what it may not."""

import pytest

from limpet.device.accounts.rules import verify_account_name, verify_new_password
from limpet.errors import Rejected

WORDS = ("Thermostat", "Example Works", "TH-A1B2C3D4", "owner")


@pytest.mark.parametrize(
    "password",
    [
        "violet anchors drift slowly",
        "ütf-8 ist auch erlaubt",
        "完全に別のとても長い合言葉です本当",
        "my thermostat is a friend of mine",
        "x" * 3 + "9 unusual words",
    ],
)
def test_a_long_password_of_any_characters_may_be_chosen(password: str) -> None:
    verify_new_password(password, words=WORDS)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "fourteen chars",
        "x" * 129,
        "passwordpassword",
        "Password Password",
        "correct horse battery staple",
        "aaaaaaaaaaaaaaaaaaaa",
        "abababababababababab",
        "123456789012345",
        "abcdefghijklmnopqrst",
        "zyxwvutsrqponmlkjihg",
        "thermostat thermostat",
        "Thermostat12345",
        "TH-A1B2C3D4 abc",
        "Example Works 2026",
        "owner owner owner 1",
    ],
)
def test_what_a_guesser_tries_first_may_not_be_chosen(password: str) -> None:
    with pytest.raises(Rejected) as caught:
        verify_new_password(password, words=WORDS)
    assert caught.value.reason == "weak-password"
    assert not password or password not in caught.value.message


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65, "a\x00"])
def test_a_name_is_printable_and_bounded(name: str) -> None:
    with pytest.raises(Rejected):
        verify_account_name(name)


def test_a_name_has_one_form() -> None:
    assert verify_account_name(" Ａnna ") == "Anna"
