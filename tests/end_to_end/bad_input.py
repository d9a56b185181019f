"""What the tests of bad input share: a founded vendor, and what a good refusal looks like."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.commands import limpet

import limpet as package

EXAMPLE = Path(__file__).parents[2] / "examples" / "thermostat"
SECONDS = 150  # of one command, at most
PACKAGES = os.pathsep.join(path for path in sys.path if path)
ENVIRONMENT = {
    **{name: text for name, text in os.environ.items() if name != "LIMPET_DEBUG"},
    "PYTHONPATH": os.pathsep.join((str(Path(package.__file__).parents[1]), PACKAGES)),
}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "limpet", *map(str, words)]


DROPPED = """
import contextlib, io, os, sys
import limpet.vendor.factory.register, limpet.vendor.repository.founding
from limpet.cli.main import run
with contextlib.redirect_stderr(io.StringIO()):
    run(["vendor", "fleet", "nowhere"]), run(["vendor", "init", "x", "--product", "nowhere"])
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(run(sys.argv[1:]))
"""
"""The command line as nobody; loads first, because nobody may not read where Python lies."""


def run(*words: object, stdin: str = "", rights: bool = True) -> "Done":
    """Run a command; with `rights` False as the user nobody, which takes root."""
    if rights:
        done = limpet(*words, stdin=stdin, env=ENVIRONMENT)
    else:
        line = [sys.executable, "-c", DROPPED, *map(str, words)]
        done = subprocess.run(
            line, input=stdin, capture_output=True, text=True, timeout=SECONDS, env=ENVIRONMENT
        )
    return Done(done.returncode, done.stdout, done.stderr)


def does(*words: object) -> str:
    done = run(*words)
    assert done.status == 0, done
    return done.out


def refuses(
    *words: object,
    status: int,
    says: str,
    advice: str = "",
    stdin: str = "",
    rights: bool = True,
) -> None:
    """The command ends with `status`, one line that `says` what is wrong, and its `advice`."""
    run(*words, stdin=stdin, rights=rights).is_refusal(status=status, says=says, advice=advice)


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    status: int
    out: str
    err: str

    def is_refusal(self, *, status: int, says: str, advice: str = "") -> None:
        lines = self.err.splitlines()
        assert "Traceback" not in self.err, self
        assert self.status == status, self
        assert sum(line.startswith("limpet: error: ") for line in lines) == 1, self
        assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("  hint: ")), self
        assert says in lines[0], self
        assert advice in self.err, self


@dataclass(frozen=True)
class Founded:
    """A vendor with one published release and a second one that is signed."""

    root: Path

    @property
    def vendor(self) -> Path:
        return self.root / "vendor"

    @property
    def published(self) -> Path:
        return self.root / "r1"

    @property
    def signed(self) -> Path:
        return self.root / "r2"

    def copy(self, to: Path) -> "Founded":
        shutil.copytree(self.root, to)
        return Founded(to)

    def public_state(self) -> dict[str, str]:
        """All that clients can see, by content."""
        return dict(_digests(self.vendor / "public" / "repository"))


def _digests(root: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(root))
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()


def build(vendor: Path, version: str, out: Path) -> Path:
    does(
        "release", "build", EXAMPLE, "--trust", vendor / "trust", "--version", version,
        "--out", out, "--without-packages",
    )  # fmt: skip
    return out


def sign(vendor: Path, out: Path) -> None:
    does(
        "release", "sign", out, "--offline", vendor / "offline",
        "--repository", vendor / "public" / "repository",
    )  # fmt: skip


def found(root: Path) -> Founded:
    founded = Founded(root)
    does("vendor", "init", founded.vendor, "--product", EXAMPLE, "--unsafe-without-gate")
    for version, out in (("1.0.0", founded.published), ("1.1.0", founded.signed)):
        build(founded.vendor, version, out)
        sign(founded.vendor, out)
        if version == "1.0.0":
            does("release", "publish", out, "--vendor", founded.vendor)
    return founded
