"""What an image needs of the device it runs on: told by the tags of the wheels in it (PEP 425).

Owns that reading. A tree holds no interpreter, C library or kernel; what its packages were built
for says which ones they take.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from limpet.errors import Rejected

__all__ = ["Needed", "needed_by"]

_OLDER = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_PLATFORM = re.compile(r"(?P<libc>manylinux|musllinux)_(\d+)_(\d+)_(?P<arch>\w+)", re.ASCII)
_LEGACY = re.compile(r"(?P<libc>manylinux(?:1|2010|2014))_(?P<arch>\w+)", re.ASCII)
_PYTHON = re.compile(r"cp3(\d+)", re.ASCII)
_LIBC = {"manylinux": "glibc", "musllinux": "musl"}
LEAST_PYTHON = 11
"""Minor version of Python 3 that limpet's runtime needs at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """What must be there and is not in the image."""

    python: str  # as "3.11", or ">=3.11" where any later one does
    libc: str = ""  # as "glibc >= 2.34"; empty: nothing in the image asks for one
    machine: str = ""  # as "x86_64"; empty: any

    @property
    def environment(self) -> Mapping[str, str]:
        """The values of markers there (PEP 508)."""
        python = self.python.removeprefix(">=")
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{python}.0",
            "os_name": "posix",
            "platform_machine": self.machine or "x86_64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{python}.0",
            "python_version": python,
            "sys_platform": "linux",
            "extra": "",
        }


def needed_by(wheels: Iterable[str]) -> Needed:
    """What the wheels of these file names need together. Raises `Rejected("not-firmware")` for what
    is no wheel's name, or for wheels that no one device can run."""
    exact: set[int] = set()
    least, libc, machines = LEAST_PYTHON, {"glibc": (0, 0), "musl": (0, 0)}, set()
    for name in wheels:
        tags = _tags(name)
        for tag in tags:
            if (found := _PYTHON.fullmatch(tag.interpreter)) and tag.abi == "abi3":
                least = max(least, int(found[1]))
            elif found and tag.abi.startswith("cp"):
                exact.add(int(found[1]))
        asked = [one for tag in tags if (one := _platform(tag.platform))]
        if asked:
            machines |= {machine for _, _, machine in asked}
            kind, version, _ = min(asked, key=lambda one: one[1])  # a wheel runs on the oldest
            libc[kind] = max(libc[kind], version)
    kinds = [kind for kind, version in libc.items() if version > (0, 0)]
    if len(exact) > 1 or len(machines) > 1 or len(kinds) > 1:
        raise Rejected("not-firmware", "the packages are not for one device: their wheels differ")
    python = f"3.{min(exact)}" if exact else f">=3.{least}"
    stated = "{} >= {}.{}".format(kinds[0], *libc[kinds[0]]) if kinds else ""
    return Needed(python=python, libc=stated, machine="".join(machines))


def _tags(name: str) -> frozenset[Tag]:
    try:
        return parse_wheel_filename(name)[3]
    except InvalidWheelFilename as error:
        raise Rejected("not-firmware", f"{name[:120]!a} is not the name of a wheel") from error


def _platform(text: str) -> tuple[str, tuple[int, int], str] | None:
    """C library, its least version, and the machine that a platform tag names."""
    if found := _PLATFORM.fullmatch(text):
        return _LIBC[found["libc"]], (int(found[2]), int(found[3])), found["arch"]
    if found := _LEGACY.fullmatch(text):
        return "glibc", _OLDER[found["libc"]], found["arch"]
    return None
