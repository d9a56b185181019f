"""What a new password may be, and what it may not."""

import contextlib
import time

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
        "dragon monkey sunshine superman",  # four common words, as dice would choose them
        "password beneath the millstone",
        "Tr0ub4dor&3 and a heron",
        "kq7w-x2np-93tr-lmva",
        "thisisalongpasswordthatnobodyhas",
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
        "dragonmonkey2024",
        "p@ssw0rd-p@ssw0rd",
        "Iloveyou princess 1",
        "!!!superman!!!batman!!!",
        "qwertyuiop[]asdfghjkl",
        "1qaz2wsx3edc4rfv",
        "qazwsxedcrfvtgb",
        "mnbvcxzlkjhgfdsa",
        "20-11-1987 / 03-04-1991",
        "monkeymonkeymonkeymonkeymonkey",
        "letmein letmein thermostat",
        "hunter2hunter2hunter2",
        "\uff50\uff41\uff53\uff53word password1",  # fullwidth letters are the same ones
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


def test_the_longest_password_is_judged_at_once_however_it_is_made() -> None:
    """The attack: a text that makes the search for words slow."""
    for text in ("abcdefgh" * 16, "pass" * 32, "a1" * 64, "monkeydragon" * 10 + "zzzzzzzz"):
        begun = time.process_time()
        with contextlib.suppress(Rejected):
            verify_new_password(text, words=WORDS)
        assert time.process_time() - begun < 0.25


def test_nobody_is_asked_for_kinds_of_characters() -> None:
    verify_new_password("only small letters in here now", words=WORDS)
