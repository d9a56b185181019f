"""RAUC as the writer of slots: hands it a bundle, and tells it how a trial ended.

Owns the three commands and what is understood of their answers. `rauc` is a client here: it
asks RAUC's own service over D-Bus, which holds the rights and checks its own signature of
the bundle. Nothing of a bundle is parsed by limpet.
"""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from limpet.errors import Rejected, Unavailable
from limpet.firmware.devices import RaucSlots
from limpet.firmware.slots import SlotName
from limpet.wire.codec import decode_json

__all__ = ["INSTALL_SECONDS", "Rauc", "run_rauc"]

INSTALL_SECONDS = 1800.0
_MARK_SECONDS = 30.0
_TOLD_CHARACTERS = 300
_STATUS_BYTES = 256 << 10
_PROGRAM = "/usr/bin/rauc"


class _Slot(msgspec.Struct, frozen=True):
    state: str = ""


class _Status(msgspec.Struct, frozen=True):
    """What is read of `rauc status --output-format=json`; the rest is RAUC's."""

    slots: tuple[dict[str, _Slot], ...]


Run = Callable[[Sequence[str], float, str], tuple[int, str, str]]
"""`(arguments, seconds, bus)` -> exit status, its answer, and its last words."""


def run_rauc(arguments: Sequence[str], seconds: float, bus: str) -> tuple[int, str, str]:
    """Run the client with a bare environment. Raises `Unavailable` (missing, too slow)."""
    given = {"DBUS_SYSTEM_BUS_ADDRESS": bus} if bus else {}
    try:
        done = subprocess.run(
            [_PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **given},
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise Unavailable("rauc is not installed", hint="Debian: apt-get install rauc") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"rauc {arguments[0]} gave no answer in {seconds:.0f} s") from error
    answer, words = (text.decode("utf-8", "replace").strip() for text in (done.stdout, done.stderr))
    said = [*answer.splitlines(), *words.splitlines()]
    failed = [line for line in said if "LastError" in line] or said[-1:]
    return done.returncode, answer, "".join(failed)[:_TOLD_CHARACTERS]


class Rauc:
    """RAUC's service, with its names of the two slots."""

    def __init__(self, names: RaucSlots, *, run: Run = run_rauc) -> None:
        self._names, self._run = names, run

    def install(self, bundle: Path, slot: SlotName) -> None:
        """Have `bundle` written to `slot`, which RAUC too must know as the one that is not booted:
        it chooses by itself where it writes.

        Raises `Rejected("rauc-refused" | "rauc-disagrees")`, `Unavailable`.
        """
        self._verify_target(slot)
        status, _, said = self._ask("install", str(bundle), seconds=INSTALL_SECONDS)
        if status != 0:
            raise Rejected("rauc-refused", f"rauc did not install the bundle: {said}")

    def confirm(self, slot: SlotName) -> None:
        """`slot` has proved itself. Raises `Unavailable`."""
        self._mark("mark-good", slot)
        self._mark("mark-active", slot)

    def reject(self, slot: SlotName, *, good: SlotName) -> None:
        """`slot` has failed, and `good` is what starts from now on. Raises `Unavailable`."""
        self._mark("mark-active", good)  # first: a cut in between leaves a slot that starts
        self._mark("mark-bad", slot)

    def _verify_target(self, slot: SlotName) -> None:
        status, answer, said = self._ask("status", "--output-format=json")
        if status != 0:
            raise Unavailable(f"rauc does not say what runs: {said}")
        found = decode_json(answer.encode(), _Status, max_bytes=_STATUS_BYTES)
        states = {name: one.state for entry in found.slots for name, one in entry.items()}
        if states.get(self._names.name_of(slot)) != "inactive":
            message = f"RAUC would not write slot {slot}: it has {states or 'no slots'}"
            hint = "see that devices.json and RAUC's system.conf name the same devices"
            raise Rejected("rauc-disagrees", message, hint=hint)

    def _mark(self, how: str, slot: SlotName) -> None:
        status, _, said = self._ask("status", how, self._names.name_of(slot))
        if status != 0:
            raise Unavailable(f"rauc did not {how} slot {slot}: {said}")

    def _ask(self, *arguments: str, seconds: float = _MARK_SECONDS) -> tuple[int, str, str]:
        return self._run(arguments, seconds, self._names.bus)
