"""What a test needs of the machine, and what becomes of the test where that is missing.

Everything that is asked for here is in a Debian package that `./run` installs as root. So a
missing one is a failure in CI (`CI` is set, and the user is root): a run must not pass for more
than it tried. Elsewhere the test is left out, and the run's summary says what was not tried.

What no machine need have (rights of a container, a generator of the hardware, a newer OpenSSL, a
right that only root or only an ordinary user has) is no business of this module's: `pytest.skip`.
"""

import os
import shutil
from typing import NoReturn

import pytest

__all__ = ["find_program", "judge", "lacking", "need", "needs"]

SYSTEM = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian has programs that an ordinary user's PATH does not name."""


def lacking(message: str) -> NoReturn:
    """Fail in CI as root, else skip, with `message`: what is missing, and what was not tried."""
    if os.environ.get("CI") and os.geteuid() == 0:
        pytest.fail(f"CI leaves out none: {message}", pytrace=False)
    pytest.skip(message)


def find_program(name: str) -> str | None:
    """The path of a program, also one of the system's."""
    return shutil.which(name) or shutil.which(name, path=SYSTEM)


def need(*wanted: str, package: str, untried: str) -> None:
    """Go on if every program (a name) and file (a path) is there, else as `lacking` does.

    `package` is the Debian package, or several; `untried` says what was not tried without.
    """
    missing = [
        one for one in wanted if not (os.path.exists(one) if "/" in one else find_program(one))
    ]
    if missing:
        lacking(f"no {', '.join(missing)} (Debian: {package}): {untried}")


def needs(*wanted: str, package: str, untried: str, root: str = "") -> pytest.MarkDecorator:
    """`need` as a mark of a test or a module, judged before any fixture is made.

    With `root` an ordinary user's run leaves the test out, too: it says what takes root.
    """
    return pytest.mark.needs(*wanted, package=package, untried=untried, root=root)


def judge(item: pytest.Item) -> None:
    """Hold `item` against its marks of `needs`."""
    for mark in item.iter_markers("needs"):
        if mark.kwargs["root"] and os.geteuid() != 0:
            pytest.skip(f"takes root: {mark.kwargs['root']}: {mark.kwargs['untried']}")
        need(*mark.args, package=mark.kwargs["package"], untried=mark.kwargs["untried"])
