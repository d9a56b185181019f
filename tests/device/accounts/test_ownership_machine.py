"""R2.1: whatever people, thieves and power cuts do in whatever order, a device has one owner."""

import contextlib
from functools import partial

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.device.accounts.ownership_model import PASSWORDS, Ownership

from limpet.crypto.passwords import PasswordProfile, hash_password, is_current
from limpet.device.accounts import context, people, service
from limpet.device.link import messages as m

pytestmark = pytest.mark.slow


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of passwords are hashed here; what a hash costs is another test's matter."""
    cheap = PasswordProfile(memory_kib=64, passes=1, lanes=1)
    monkeypatch.setattr(context, "hash_password", partial(hash_password, profile=cheap))
    monkeypatch.setattr(service, "is_current", partial(is_current, profile=cheap))


def run_machine(examples: int) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        phases=[Phase.generate],
    )
    run_state_machine_as_test(Ownership, settings=chosen)


@pytest.mark.usefixtures("cheap_hashes")
def test_no_order_of_events_gives_two_owners_or_a_token_that_outlives_its_end() -> None:
    run_machine(40)


DEFECTS = {
    "logout": (service.tokens, "remove_token", lambda records, *_: records.tokens),
    "remove": (people.tokens, "without", lambda records, _: records),
    "invite": (people, "_verify_granted", lambda access: access),
    "seal": (service.AccountsService, "_is_sealed", lambda _: False),
}


def go_through(model: Ownership) -> None:
    """A way past each of the defects, with what the invariants look at after each step."""
    owner = str(model.claim("grace", PASSWORDS[0], "label", False))
    model.invite(owner, m.Access.OWNER)
    member = str(model.join(str(model.invite(owner, m.Access.MEMBER)), "ada", PASSWORDS[1]))
    model.remove(owner, "ada")
    # Somebody else of the same name: nothing of the first one may count again.
    model.join(str(model.invite(owner, m.Access.MEMBER)), "ada", PASSWORDS[2])
    model.what_has_ended_stays_ended()
    model.show_a_token(member)
    other = str(model.login("grace", PASSWORDS[0]))
    model.logout(other)
    model.what_has_ended_stays_ended()
    model.reset(owner, PASSWORDS[0])
    model.claim("hedy", PASSWORDS[2], "label", False)
    model.one_owner_or_none()


@pytest.mark.usefixtures("cheap_hashes")
@pytest.mark.parametrize("defect", ["", *DEFECTS])
def test_the_model_notices_a_planted_defect(monkeypatch: pytest.MonkeyPatch, defect: str) -> None:
    """The specimens: the same way, without a defect and with each."""
    if defect:
        monkeypatch.setattr(*DEFECTS[defect])
    model = Ownership()
    try:
        with pytest.raises(AssertionError) if defect else contextlib.nullcontext():
            go_through(model)
    finally:
        model.teardown()
