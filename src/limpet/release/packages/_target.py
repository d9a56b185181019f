"""The machine that a firmware is for, as far as wheels differ: C library, processor, Python.

Owns the names of platforms (PEP 600, PEP 656) and what they include. Asks the machine that
builds only for the default.
"""

import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from packaging.tags import Tag, compatible_tags, cpython_tags

from limpet.errors import LimpetError, Rejected, Unavailable

__all__ = ["ELF_MACHINES", "THIS_PYTHON", "Target", "this_machine", "this_platform"]

ELF_MACHINES: Mapping[str, int] = {"x86_64": 62, "aarch64": 183}
"""The processors that the device runtime runs on, and their `e_machine` (elf(5))."""

THIS_PYTHON = "{}.{}".format(*sys.version_info[:2])
"""Of the running interpreter."""

_PLATFORM = re.compile(
    r"(?P<libc>manylinux_2|musllinux_1)_(?P<minor>[0-9]{1,3})_(?P<arch>[a-z0-9_]{3,12})",
    re.ASCII,
)
_PYTHON = re.compile(r"3\.(1[1-9]|[2-9][0-9])", re.ASCII)
_OLDER_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}  # PEP 600
_OLDEST = {"x86_64": 5, "aarch64": 17}  # the first glibc of each in PEP 600's aliases


@dataclass(frozen=True, slots=True)
class Target:
    """A platform, as `manylinux_2_36_x86_64` (glibc 2.36 or later), and a Python, as `3.11`.

    Raises `Rejected("bad-target")` for a name that is none.
    """

    platform: str
    python: str
    _found: re.Match[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what no device runs on."""
        newer = {f"{name}_": f"manylinux_2_{minor}_" for minor, name in _OLDER_NAMES.items()}
        for old, new in newer.items():
            if self.platform.startswith(old):
                object.__setattr__(self, "platform", self.platform.replace(old, new, 1))
        found = _PLATFORM.fullmatch(self.platform)
        if found is None or found["arch"] not in ELF_MACHINES:
            raise Rejected(
                "bad-target",
                f"{self.platform[:60]!a} is no platform of a device",
                hint="as manylinux_2_36_x86_64, manylinux_2_36_aarch64 or musllinux_1_2_x86_64",
            )
        if not _PYTHON.fullmatch(self.python):
            raise Rejected("bad-target", f"no Python {self.python[:20]!a}", hint="as 3.11")
        object.__setattr__(self, "_found", found)

    @property
    def architecture(self) -> str:
        """The processor's name, a key of `ELF_MACHINES`."""
        return self._found["arch"]

    @property
    def platforms(self) -> tuple[str, ...]:
        """Every platform whose wheels run there, the best one first."""
        return tuple(self._platforms())

    def _platforms(self) -> Iterator[str]:
        arch, libc = self.architecture, self._found["libc"]
        glibc = libc == "manylinux_2"
        for minor in range(int(self._found["minor"]), _OLDEST[arch] - 1 if glibc else -1, -1):
            yield f"{libc}_{minor}_{arch}"
            if glibc and minor in _OLDER_NAMES:
                yield f"{_OLDER_NAMES[minor]}_{arch}"
        yield f"linux_{arch}"

    @property
    def tags(self) -> tuple[Tag, ...]:
        """What a wheel may be tagged with (PEP 425), the best one first."""
        version = (3, int(self.python.split(".")[1]))
        interpreter = f"cp3{version[1]}"
        return (
            *cpython_tags(version, platforms=self.platforms),
            *compatible_tags(version, interpreter, self.platforms),
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """The values of markers (PEP 508). The first release of that Python stands for all of
        them: a package for older ones is rather taken than missed."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.architecture,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }

    @property
    def is_this_machine(self) -> bool:
        """Whether what is for it runs here, as far as that can be told without trying."""
        try:
            here = this_machine()
        except LimpetError:
            return False
        return self.python == here.python and self.platform in here.platforms


def this_platform() -> str:
    """The platform that this machine is. Raises `Unavailable` where it is none of a device."""
    name, version = platform.libc_ver()
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    major, _, minor = version.partition(".")
    libc = {"glibc": "manylinux", "musl": "musllinux"}.get(name, "")
    found = f"{libc}_{major}_{minor.split('.')[0]}_{arch}"
    if not _PLATFORM.fullmatch(found):
        raise Unavailable("this machine's platform is none of a device", hint="name it: --platform")
    return found


def this_machine() -> Target:
    """The target that the running interpreter is. Raises as `this_platform`, and `Rejected`."""
    return Target(this_platform(), THIS_PYTHON)
