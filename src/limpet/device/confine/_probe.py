"""What this machine cannot enforce, found by trying it in a process of its own.

Owns the probe. The caller is never confined by it: the child confines itself,
says what came of it, and ends.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

import limpet
from limpet.device.confine._allowed import Compartment
from limpet.device.confine._landlock import Ports
from limpet.device.confine._steps import MECHANISMS, take_steps
from limpet.device.enclosure import USER_IDS, User
from limpet.device.enclosure.users import FIRST_ID, may_become
from limpet.device.link.messages import Confinement
from limpet.errors import Unavailable

__all__ = ["main", "missing_mechanisms"]

PROBE_SECONDS = 30.0
_LAUNCHER = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from limpet.device.confine._probe import main; main()"
)


def missing_mechanisms() -> tuple[tuple[str, str], ...]:
    """Each mechanism that this machine lacks, by the name that [[confinement_gaps]] has for it,
    and why. Empty where devices are confined in full.

    Raises `Unavailable` if the probe itself cannot run.
    """
    place = str(Path(limpet.__file__).parents[1])
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-c", _LAUNCHER, place],
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=True,
        )
        found = msgspec.json.decode(done.stdout, type=tuple[Confinement, ...])
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as error:
        raise Unavailable("cannot find out how this machine confines a process") from error
    missing: Mapping[str, list[str]] = {name: [] for name in MECHANISMS.values()}
    for one in found:
        if not one.in_force:
            missing[MECHANISMS[one.mechanism]].append(one.detail)
    return tuple((name, "; ".join(reasons)) for name, reasons in missing.items() if reasons)


def _ids() -> tuple[Confinement, ...]:
    """Whether roles can get user ids of their own, which is asked of root alone."""
    user = User(uid=FIRST_ID, gid=FIRST_ID)
    detail = "" if may_become(user) else "root may take no other user id here"
    return (Confinement(mechanism=USER_IDS, in_force=not detail, detail=detail),)


def main() -> None:
    """In the child: give up everything, print what is now in force."""
    ids = _ids() if os.geteuid() == 0 else ()
    found = (*ids, *take_steps(Compartment.GUARD, {}, (), Ports()))
    sys.stdout.buffer.write(msgspec.json.encode(found))
