"""A product under version control, what is built from it, and the gate's word on it.

Owns the sound product that every specimen spoils in one way.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.release.workshop import APP, BOUNDS, EXAMPLE, NOW

from limpet.release import BuildOrder, Built, build_release
from limpet.release.gate import RULES, Finding, Report, open_subject, run_gate
from limpet.vendor.home import Home

__all__ = ["Bench"]

_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "A Developer",
    "GIT_AUTHOR_EMAIL": "developer@example.com",
    "GIT_COMMITTER_NAME": "A Developer",
    "GIT_COMMITTER_EMAIL": "developer@example.com",
}


@dataclass(frozen=True, slots=True)
class Bench:
    """A product's directory, committed, beside a vendor."""

    product: Path
    home: Home
    work: Path

    @classmethod
    def found(cls, work: Path, home: Home) -> "Bench":
        """The sound product: the thermostat's design with a small app, committed."""
        bench = cls(work / "product", home, work)
        (bench.product / "app" / "thermostat").mkdir(parents=True)
        shutil.copy(EXAMPLE / "product.toml", bench.product)
        bench.write("app/thermostat/__init__.py", APP)
        bench.git("init", "--quiet", "--initial-branch=main")
        bench.commit("Begin")
        return bench

    def write(self, name: str, text: str) -> None:
        """A file of the product, not committed yet."""
        path = self.product / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a file of the product in one place."""
        text = (self.product / name).read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new, 1))

    def git(self, *arguments: str) -> str:
        """git's answer, of the product's repository; no configuration of this machine counts."""
        done = subprocess.run(
            ["git", "-C", str(self.product), *arguments],
            env={**os.environ, **_ENVIRONMENT},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Commit all there is; the commit's id."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def build(self, version: str = "1.0.0", name: str = "out") -> Built:
        """Build what lies in the directory."""
        order = BuildOrder(
            product=self.product,
            trust=self.home.trust,
            version=version,
            security_counter=1,
            interface_version=1,
            bounds=BOUNDS,
            built_at=NOW,
            source_commit=self.git("rev-parse", "HEAD"),
        )
        return build_release(order, self.work / name)

    def judge(self, built: Built) -> Report:
        """The gate's report."""
        with open_subject(self.product, built.directory, now=NOW) as subject:
            return run_gate(subject, RULES)

    def finding(self, built: Built, rule: str) -> Finding:
        """What one rule says."""
        (chosen,) = [one for one in RULES if one.id == rule]
        with open_subject(self.product, built.directory, now=NOW) as subject:
            return run_gate(subject, [chosen]).judgements[0].finding
