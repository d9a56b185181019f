"""Starting the real processes from a state: boot, every role, a vendor that serves.

Owns the wait for what must come: the device runs, the owner gets in, the newest release that works
is confirmed, and after that every setting is still kept.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.cuts.judge import look
from tests.cuts.life import BAD, FIRST, GOOD, LAST
from tests.cuts.promises import Promises
from tests.device.workshop import Running, running
from tests.end_to_end.living_device import Living, Owner

from limpet.errors import LimpetError
from limpet.firmware.slots import load_boot_state
from limpet.vendor.home import open_home

__all__ = ["offered_to", "start"]

PATIENCE = 150.0  # seconds, for each thing that must come; a trial takes some, a busy machine more


def offered_to(promises: Promises) -> str:
    """The version that a vendor shall offer to a device of that moment: one that works."""
    return LAST if promises.offered == BAD else GOOD


def start(root: Path, vendor: Path, address: str, promises: Promises) -> list[str]:
    """What is wrong with the device at `root`, which `vendor` serves at `address`."""
    wanted = offered_to(promises)
    with running(root, "--resolve", f"vendor.example.com:443={address}", wait=False) as device:
        if not _comes(lambda: (root / "run" / "listening.json").exists()):
            return [_told("start: it does not come up", device)]
        if problem := _get_in(Living(device, open_home(vendor), ""), promises):
            return [_told(problem, device)]
        if not _comes(lambda: _confirmed(root) == wanted):
            return [_told(f"start: {wanted} is not confirmed but {_confirmed(root)}", device)]
    return [f"after the start, {one}" for one in look(root, promises)]


def _get_in(living: Living, promises: Promises) -> str:
    """The owner logs in with the password that was acknowledged last, if just one can be right."""
    if promises.may_be_erased or len(promises.password) != 1 or None in promises.password:
        return ""
    owner = Owner(living)
    body = {"name": "owner", "password": next(iter(promises.password))}
    answers: list[int] = []

    def gets_in() -> bool:
        try:
            answers.append(owner.ask("POST", "/v1/login", body)[0])
        except (LimpetError, OSError, ValueError):
            owner.hang_up()
            return False
        return answers[-1] in (200, 201)

    if not _comes(gets_in, pause=1.0):
        return f"start: the owner does not get in: {answers[-3:]}"
    owner.hang_up()
    return ""


def _confirmed(root: Path) -> str:
    """The version that is good for good; the running one must be it."""
    try:
        state = load_boot_state(root / "slots" / "boot.json")
        status = json.loads((root / "run" / "status.json").read_text())
    except (LimpetError, OSError, ValueError):
        return ""
    record = state.record_of(state.good)
    is_settled = state.trial is None and status["slot"] == state.good
    return record.version if record is not None and is_settled else f"not yet {FIRST}"


def _comes(condition: Callable[[], bool], *, pause: float = 0.1) -> bool:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def _told(problem: str, device: Running) -> str:
    entries = [f"{one.role} {one.event}: {one.detail[:160]}" for one in device.log()][-12:]
    return "\n    ".join([problem, *entries])
