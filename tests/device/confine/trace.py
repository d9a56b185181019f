"""`./run trace`: does the policy of system calls hold for a device's whole life?

Owns running the end-to-end tests of that life (real vendor, real factory, real devices)
under strace(1), and the comparison: what a confined process tried and may not is an error,
and so is a grant that is not called rare and was never used. Changes no policy by itself.
"""

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.device.confine.filter_machine import refusal, run
from tests.device.confine.tracing import STRACE, Made, read_trace

from limpet.device.confine._allowed import (
    COMPARTMENTS,
    REFUSED,
    SELF,
    Argument,
    Call,
    Compartment,
    Grant,
)
from limpet.device.confine._calls import ALIKE, NUMBERS
from limpet.device.confine._seccomp import MACHINES, build

__all__ = ["LIFE", "holds", "main", "refused_by_surprise", "unused"]

STEM = "calls"
LIFE = (
    "tests/device/confine/test_life.py",  # claim, logins, page, update, renewal, ends, reset
    "tests/device/confine/test_names.py",  # name look-ups (as root)
    "tests/end_to_end/test_key_custody.py",  # factory and enrollment with each of the key stores
)
"""The life that is traced: the tests of its parts. More can be given on the command line."""


def main() -> int:
    """0 if the policy holds."""
    parser = argparse.ArgumentParser(
        prog="run trace", description="Compare the calls that a device makes with its policy."
    )
    parser.add_argument("tests", nargs="*", default=LIFE, help="tests to run; a whole life if none")
    parser.add_argument("--keep", type=Path, help="leave strace's files in this new directory")
    asked = parser.parse_args()
    if shutil.which("strace") is None:
        print("run trace: error: needs the Debian package strace", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory(prefix="limpet-trace-") as temporary:
        place = asked.keep or Path(temporary)
        place.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", "-m", "slow or not slow"]
        command += ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "timeout", *asked.tests]
        done = subprocess.run([*STRACE, str(place / STEM), *command], check=False)
        made = list(read_trace(place, STEM))
    if done.returncode != 0:
        print(
            "run trace: error: a test failed; what it did not reach was not seen", file=sys.stderr
        )
    return max(done.returncode, 0 if holds(made, whole=tuple(asked.tests) == LIFE) else 1)


def holds(made: Sequence[Made], *, whole: bool) -> bool:
    """Print the comparison; whether nothing is wrong. Unused grants count in a `whole` life."""
    for compartment, calls in sorted(_by_compartment(made).items(), key=lambda item: item[0].value):
        print(f"{compartment.value}: {sum(calls.values())} calls, {len(calls)} different")
    surprises = list(refused_by_surprise(made))
    for line in dict.fromkeys(f"{one.compartment.value}: {one.name}" for one in surprises):
        example = next(
            one.line for one in surprises if line == f"{one.compartment.value}: {one.name}"
        )
        print(f"NOT ALLOWED {line}, as in {example}")
    never = list(unused(made))
    for grant, call in never:
        print(f"NEVER SEEN {call.name}, granted for: {grant.why}")
    return not surprises and not (whole and never)


def refused_by_surprise(made: Iterable[Made]) -> Iterator[Made]:
    """Calls that the filter refuses, and no entry of `REFUSED` says that it may."""
    machine = platform.machine()
    audit, _ = MACHINES[machine]
    programs: dict[tuple[Compartment, int], bytes] = {}
    for one in made:
        number = _number(one.name)
        key = one.compartment, one.pid
        if key not in programs:
            programs[key] = build(machine, one.compartment, pid=one.pid)
        if number is not None and not refusal(run(programs[key], audit, number, one.arguments)):
            continue
        if not any(_fits(expected.call, one) for expected in REFUSED):
            yield one


def unused(made: Iterable[Made]) -> Iterator[tuple[Grant, Call]]:
    """Calls of grants that are not rare, and that no process with such a grant made."""
    seen = {(one.compartment, one.name, one.arguments): one for one in made}.values()
    granted: dict[int, tuple[Grant, set[Compartment]]] = {}
    for compartment, grants in COMPARTMENTS.items():
        for grant in grants:
            granted.setdefault(id(grant), (grant, set()))[1].add(compartment)
    for grant, compartments in granted.values():
        for call in grant.calls if not grant.rare else ():
            if not any(one.compartment in compartments and _fits(call, one) for one in seen):
                yield grant, call


def _fits(call: Call, one: Made) -> bool:
    """Whether `one` is this call or one that is alike, with arguments that it allows."""
    same = next((alike for alike in ALIKE if call.name in alike), frozenset({call.name}))
    return one.name in same and all(_holds(argument, one) for argument in call.arguments)


def _holds(argument: Argument, one: Made) -> bool:
    value = one.arguments[argument.index] >> (32 if argument.high else 0)
    values = [one.pid if wanted == SELF else wanted for wanted in argument.values]
    return value & argument.mask in values


def _number(name: str) -> int | None:
    found = NUMBERS.get(name)
    return found[MACHINES[platform.machine()][1]] if found else None


def _by_compartment(made: Iterable[Made]) -> Mapping[Compartment, Counter[str]]:
    found: dict[Compartment, Counter[str]] = {}
    for one in made:
        found.setdefault(one.compartment, Counter())[one.name] += 1
    return found


if __name__ == "__main__":
    sys.exit(main())
