"""R2.4, R2.5: `kill -9` of the whole device at random instants of updates, as a cut of power does.

Boot and everything that it started dies at once, again and again: while it starts, checks,
downloads, switches, is on trial. What the owner was answered is on the disk after every kill, some
slot always starts, and in the end the newest release is confirmed. 50 kills take a
minute of CPU; `LIMPET_TREE_KILLS=1000` is what `.ci/nightly` does.
"""

import contextlib
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cuts.judge import look, quiet_journal
from tests.cuts.life import PASSWORDS, Life, build_first, make_product, serving
from tests.cuts.promises import Promises
from tests.device.workshop import Running, running
from tests.end_to_end.living_device import Living, Owner

from limpet.device.boot._choice import choose_slot
from limpet.errors import LimpetError

KILLS = int(os.environ.get("LIMPET_TREE_KILLS", "50"))
SOON, LATE = (0.0, 1.3), (2.5, 5.0)
"""From a start to the kill, in times that the first start took: most kills hit what comes early,
and one of each five lets an update get far."""
PATIENCE = 300.0

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end, pytest.mark.timeout(600 + 30 * KILLS)]


class Ledger:
    """What the owner was answered, as `Promises`."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.promises = Promises(password=frozenset({life.password}))
        self.answered = self.turn = 0

    def change(self) -> None:
        """The next setting; between request and answer old and new are right."""
        self.turn += 1
        number = self.turn
        if number % 7 == 0:
            minute = (life_minute() + 720 + number) % 1440
            window = {"start_minute": minute, "end_minute": (minute - 1) % 1440}
            self._change("window", minute, "PUT", "/v1/update/policy", {"window": window})
        elif number % 5 == 0:
            enabled = number % 2 == 0
            self._change("announcement", enabled, "PUT", "/v1/announcement", {"enabled": enabled})
        elif number % 23 == 0 and len(self.promises.password) == 1:
            self._change_password(PASSWORDS[number % len(PASSWORDS)])
        else:
            celsius = 10.0 + number % 19 + (number // 19 % 10) / 10
            self._change(
                "target", celsius, "POST", "/v1/functions/set_target", {"celsius": celsius}
            )

    def _change(self, setting: str, value: object, method: str, path: str, body: object) -> bool:
        known = getattr(self.promises, setting)
        self.promises = replace(self.promises, **{setting: known | {value}})
        if self.life.ask(method, path, body) is None:
            return False
        self.promises = replace(self.promises, **{setting: frozenset({value})})
        self.answered += 1
        return True

    def _change_password(self, new: str) -> None:
        old = next(iter(self.promises.password))
        if old is not None and new != old:
            self._change("password", new, "PUT", "/v1/password", {"old": old, "new": new})


def life_minute() -> int:
    """Of the hour's beginning, UTC."""
    return time.gmtime().tm_hour * 60


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    for directory in (tmp_path, *list(tmp_path.parents)[:3]):
        with contextlib.suppress(PermissionError):
            directory.chmod(0o755)
    product = make_product(tmp_path)
    home, device, code = build_first(tmp_path, product)
    marks = os.open(tmp_path / "marks", os.O_WRONLY | os.O_CREAT, 0o600)
    life = Life(tmp_path, home, product, marks)
    with serving(home.root) as where:
        resolve = ("--resolve", f"vendor.example.com:443={where}")
        with running(device, *resolve, wait=False) as life.device:
            life.owner = Owner(Living(life.device, home, code))
            begun = time.monotonic()
            life.until("ready", lambda: life.device.has_enrolled(), change=False)
            life.start_seconds = time.monotonic() - begun
            life.owner.claim()
            yield life


def kill_all(device: Running) -> int:
    """Everything of the device at once, and what it starts meanwhile; how many there were.

    A program that has just been executed has no command line for a moment: boot is known without,
    and another is looked for until nothing was found twice.
    """
    device.boot.kill()
    count, looks = 1, 0
    while looks < 2:
        looks += 1
        for pid in device.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                count, looks = count + 1, 0
        time.sleep(0.02)
    device.boot.wait(30)
    return count


def assert_kept(life: Life, promises: Promises, scratch: Path) -> str:
    """A copy of the dead device has a slot that starts, and every answered setting; the version."""
    shutil.rmtree(scratch, ignore_errors=True)
    root = life.device.root
    skip = shutil.ignore_patterns("run", "stderr", "staging", "reserve")
    shutil.copytree(root, scratch, symlinks=True, ignore=skip)
    choice = choose_slot(scratch, quiet_journal(scratch)).choice
    problems = look(scratch, promises)
    assert not problems, problems
    return f"{choice.record.version}{' on trial' if choice.on_trial else ''}"


def test_a_device_killed_as_a_whole_at_any_instant_of_updates_loses_nothing_and_gets_there(
    life: Life, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"{KILLS} kills, seed {seed}")
    dice = random.Random(seed)  # noqa: S311 - a run must be repeatable
    ledger, seen, patch = Ledger(life), Counter[str](), 0
    killed = late = 0
    print(f"a start takes {life.start_seconds:.1f} s")
    for number in range(KILLS):
        if _is_over(life, f"1.0.{patch}"):
            patch += 1
            life.offer(f"1.0.{patch}", life.product, copy=False)
        if number % 5 == 0:
            late = number + dice.randrange(5)
        starts = dice.uniform(*(LATE if number == late else SOON))
        end = time.monotonic() + starts * life.start_seconds
        while (left := end - time.monotonic()) > 0:
            ledger.change()
            time.sleep(min(dice.uniform(0, 0.3), max(left, 0)))
        killed += kill_all(life.device)
        life.owner.hang_up()
        was = assert_kept(life, ledger.promises, tmp_path / "scratch")
        seen[_stage(life)] += 1
        life.device.start_again()
        print(f"{number + 1}: {was}; {ledger.answered} answered")
    assert killed > 2 * KILLS
    assert ledger.answered > KILLS
    _gets_there(life, f"1.0.{patch}")
    print(f"killed while {dict(seen)}; {patch} releases")
    if KILLS >= 40:  # a few kills may all hit the same
        assert patch > KILLS // 25
        assert len(seen) >= 3, seen


def _is_over(life: Life, version: str) -> bool:
    """Whether `version` runs for good, or kills have cost it its tries."""
    state = life.device.state
    record = state.record_of(state.good)
    confirmed = record is not None and record.version == version
    failed = state.failure is not None and state.failure.version == version
    return state.trial is None and (confirmed or failed)


def _stage(life: Life) -> str:
    """What the device did when it died, by what its log said last of it."""
    stages = {
        "starting": "starting",
        "running": "running",
        "update-begins": "downloading",
        "update-installed": "switching",
        "update-confirmed": "confirmed",
        "update-held": "held",
    }
    events = [stages[one.event] for one in life.device.log() if one.event in stages]
    trial = ", on trial" if life.device.state.trial is not None else ""
    return (events[-1] if events else "new") + trial


def _gets_there(life: Life, version: str) -> None:
    """The newest is confirmed; if kills have cost it all tries, the owner's word brings it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        state = life.device.state
        record = state.record_of(state.good)
        if state.trial is None and record is not None and record.version == version:
            return
        update = life.ask("GET", "/v1/update")
        if update and "failed-before" in update.get("reason", ""):
            with contextlib.suppress(AssertionError, LimpetError):  # not held any more
                life.ask("POST", "/v1/update/install")
        time.sleep(0.5)
    entries = [f"{one.role} {one.event}: {one.detail[:120]}" for one in life.device.log()][-15:]
    raise AssertionError("\n".join([f"{version} is not confirmed", *entries]))
