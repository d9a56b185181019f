"""Password verifiers: what they are made of and what they refuse."""

import pytest
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from limpet.crypto.passwords import (
    DEVICE,
    PasswordProfile,
    hash_password,
    is_current,
    make_decoy,
    verify_password,
)
from limpet.errors import Rejected


def test_a_password_verifies_against_its_own_hash_only() -> None:
    phc = hash_password("violet anchors drift slowly")
    verify_password("violet anchors drift slowly", phc)
    for wrong in ("violet anchors drift slowl", "", "Violet anchors drift slowly"):
        with pytest.raises(Rejected) as caught:
            verify_password(wrong, phc)
        assert caught.value.reason == "wrong-password"


def test_the_same_password_never_has_the_same_hash() -> None:
    assert hash_password("x") != hash_password("x")


def test_the_profile_is_owasps_minimum_for_argon2id() -> None:
    assert hash_password("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (DEVICE.memory_kib, DEVICE.passes, DEVICE.lanes) == (19456, 2, 1)


def test_a_hash_of_an_older_profile_still_verifies_and_is_known_as_old() -> None:
    old = PasswordProfile(memory_kib=8192, passes=1, lanes=1)
    phc = hash_password("x", profile=old)
    verify_password("x", phc)
    assert not is_current(phc)
    assert is_current(phc, profile=old)


@pytest.mark.parametrize("damaged", ["", "junk", "$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA"])
def test_a_damaged_verifier_lets_nobody_in(damaged: str) -> None:
    with pytest.raises(Rejected):
        verify_password("x", damaged)


def test_a_decoy_is_checked_like_a_real_verifier_and_has_no_password() -> None:
    decoy, real = make_decoy(), hash_password("x")
    assert is_current(decoy), "its cost is that of the profile in force"
    assert [len(part) for part in decoy.split("$")] == [len(part) for part in real.split("$")]
    with pytest.raises(Rejected):
        verify_password("x", decoy)
    with pytest.raises(InvalidKey, match="do not match"):  # it was computed, and then compared
        Argon2id.verify_phc_encoded(b"x", decoy)
    with pytest.raises(InvalidKey, match="PHC"):  # the control: refused before
        Argon2id.verify_phc_encoded(b"x", decoy[:-1])
    assert make_decoy() != decoy


def test_composed_and_decomposed_characters_are_one_password() -> None:
    verify_password("e\u0301te\u0301", hash_password("\u00e9t\u00e9"))
