"""Attacks with withdrawn and revoked releases: hidden, offered again, withdrawn falsely."""

from datetime import timedelta

from tests.device.updater.attacks import Attack, Case, offered
from tests.device.updater.attacks_on_time import SERVER, new_online_keys
from tests.device.updater.simulator import NOW, RELEASES
from tests.device.updater.thief import ONLINE

from limpet.device.updater.check import Outcome
from limpet.wire.factory import SeenVersion
from limpet.wire.rollout import PlanState


def saw_withdrawal(case: Case) -> None:
    """The device saw a withdrawal of 1.0.9; then 1.1.0 is offered."""
    case.sign("1.0.9")
    case.withdraw()
    case.kept["withdrawn"] = case.release
    case.bench.check()
    offered(case)


def _offer_withdrawn_again(case: Case) -> None:
    case.thief()
    case.offer(case.kept["withdrawn"], withdrawn=())


def _flush_the_memory(case: Case) -> None:
    """Withdraw a thousand things that never were, until the true withdrawal is forgotten."""
    case.thief()
    for round_ in range(20):
        fake = tuple(f"{round_ * 256 + number:064x}" for number in range(256))
        case.offer(case.kept["withdrawn"], state=PlanState.IDLE, withdrawn=fake)
        case.bench.check()
    _offer_withdrawn_again(case)


def _withdraw_the_good(case: Case) -> None:
    """The thief takes back what is good."""
    case.thief()
    case.withdraw()


def withdrawn_unseen(case: Case) -> None:
    """1.0.9 was withdrawn before this device first looked; 1.1.0 is offered."""
    case.sign("1.0.9")
    case.withdraw()
    case.kept["withdrawn"] = case.release
    offered(case)


def revoked_unseen(case: Case) -> None:
    """1.0.9 was revoked: the release keys signed `releases/<model>` without it."""
    case.sign("1.0.9")
    case.repository.publish()
    case.kept["withdrawn"] = case.release
    path = "firmware/thermostat/1.0.9.json"
    del case.repository.roles[RELEASES].targets[path]
    offered(case)


def revoked_before_it_was_made(case: Case) -> None:
    """As before, and the factory knew it when it made the device."""
    revoked_unseen(case)
    repository = case.repository
    for name, signed in (("targets", repository.targets), (RELEASES, repository.roles[RELEASES])):
        keys = tuple(sorted(signer.public_key.keyid for signer in repository.signers(name)))
        case.bench.seen[name] = SeenVersion(version=signed.version, keys=keys)


def _older_targets(case: Case) -> None:
    case.thief().name_older("targets", case.repository.targets.version - 1)


def revoked_seen(case: Case) -> None:
    """As before, and the device has looked since."""
    revoked_unseen(case)
    case.offer(state=PlanState.IDLE)
    case.bench.check()
    case.offer()


def _replay_before_revocation(case: Case) -> None:
    """An older `releases/<model>`, that still has the revoked release, under a new plan."""
    thief = case.thief()
    case.offer(case.kept["withdrawn"])
    thief.name_older(RELEASES, 3)


def _replay_a_year_later(case: Case) -> None:
    days = 301
    case.repository.now = NOW + timedelta(days=days)
    for role in ONLINE:
        one = {"snapshot": case.repository.snapshot, "timestamp": case.repository.timestamp}.get(
            role, case.repository.roles.get(role)
        )
        assert one is not None
        one.expires = NOW + timedelta(days=days + 1)
    case.repository.targets.expires = case.repository.now + timedelta(days=300)
    case.repository.publish()
    _replay_before_revocation(case)
    case.bench.wall = case.repository.now


WITHDRAWN: dict[str, tuple[Attack, ...]] = {
    "Withdrawn releases": (
        Attack(name="withdrawn-again", title="a withdrawn release, offered again", has=SERVER,
               before=saw_withdrawal, deed=_offer_withdrawn_again, reason="withdrawn",
               does="remembers every withdrawal of a signed release"),
        Attack(name="withdrawn-flushed", title="the same, after five thousand false withdrawals",
               has=SERVER, before=saw_withdrawal, deed=_flush_the_memory, reason="withdrawn",
               does="remembers withdrawals of signed releases only, so no flood washes one away"),
        Attack(name="withdrawn-falsely", title="a good release, withdrawn by the thief",
               has=SERVER, deed=_withdraw_the_good, reason="withdrawn",
               residual="stays withdrawn: the vendor signs the same firmware under a new version"),
        Attack(name="withdrawal-hidden", title="a withdrawal hidden from a device that is new",
               has=SERVER, before=withdrawn_unseen, deed=_offer_withdrawn_again,
               outcome=Outcome.READY, after=None,
               residual="a new device cannot know of it: **revoke** the release (below)"),
        Attack(name="revoked", title="a revoked release, offered to a device that is new",
               has=SERVER, before=revoked_unseen, deed=_offer_withdrawn_again,
               reason="unsigned-release",
               does="finds no signature of the offline keys over it any more"),
        Attack(name="revocation-hidden", title="`releases/<model>` from before the revocation",
               has=SERVER, before=revoked_seen, deed=_replay_before_revocation,
               reason="rollback", after=new_online_keys),
        Attack(name="revocation-hidden-from-new", title="the same, to a device that is new",
               has=SERVER, before=revoked_unseen, deed=_replay_before_revocation,
               outcome=Outcome.READY, after=None,
               residual="until the older `releases/<model>` ends (below), on devices that were made"
                        " before the newer one and never saw it, and never below the counter in"
                        " their own firmware"),
        Attack(name="revocation-hidden-from-made",
               title="the same, to a new device that was made after the revocation", has=SERVER,
               before=revoked_before_it_was_made, deed=_replay_before_revocation,
               reason="rollback", after=new_online_keys,
               does="begins with the versions that the factory knew"),
        Attack(name="targets-hidden-from-made",
               title="`targets` from before a new device was made", has=SERVER,
               before=revoked_before_it_was_made, deed=_older_targets,
               reason="rollback", after=new_online_keys),
        Attack(name="revocation-hidden-later", title="the same, once the older file has ended",
               has=SERVER, before=revoked_unseen, deed=_replay_a_year_later,
               reason="expired-metadata", after=None),
    ),
}  # fmt: skip
