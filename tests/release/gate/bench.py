"""A product under version control, what is built from it, and the gate's word on it.

Owns the sound product that every specimen spoils in one way: a release before it is published, its
commits are signed, it had a vulnerability once, and its tests passed.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from tests.release.advisories.records import Record, record, write_directory
from tests.release.packages.wheels import device_wheels
from tests.release.workshop import BOUNDS, EXAMPLE, NOW, signing

from limpet.demo.world import renew_dates
from limpet.firmware.image import build_image
from limpet.product import load_product
from limpet.release import BuildOrder, build_release, load_built, publish, sign_release
from limpet.release._bill import add_bill
from limpet.release.advisories import AdvisoryStore
from limpet.release.gate import RULES, Before, Finding, Report, Rule, open_subject, run_gate
from limpet.release.gate._subject import Subject
from limpet.release.packages import THIS_PYTHON, PackageOrder, Target
from limpet.release.sbom import unpack_image
from limpet.vendor.home import Home
from limpet.wire.codec import encode_json
from limpet.wire.release import ReleaseManifest

__all__ = ["ADVISORY", "TESTS", "Bench", "Case"]

_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "A Developer",
    "GIT_AUTHOR_EMAIL": "developer@example.com",
    "GIT_COMMITTER_NAME": "A Developer",
    "GIT_COMMITTER_EMAIL": "developer@example.com",
}
_DEVELOPMENT = 'component_sources = ["pypi"]'
_SIGNED = f'{_DEVELOPMENT}\nsigned_commits = true\nallowed_signers = "allowed-signers"'
_BYTE_CODE = shutil.ignore_patterns("__pycache__")
_PEOPLE = ("developer", "leaver", "stranger")

# Wheels for another machine are put in and not imported: small ones do.
_OTHER = {"x86_64": "aarch64"}.get(platform.machine(), "x86_64")
ELSEWHERE = Target(f"manylinux_2_36_{_OTHER}", THIS_PYTHON)

ADVISORY: Mapping[str, Any] = {
    "document": {"category": "csaf_security_advisory", "tracking": {"id": "EX-2026-001"}},
    "vulnerabilities": [
        {
            "cve": "CVE-2026-10001",
            "notes": [
                {
                    "category": "other",
                    "title": "regression-test",
                    "text": "tests/test_claim.py::test_a_short_code_is_refused",
                }
            ],
        }
    ],
}

STARTS_A_DEVICE = "interfaces-as-declared"
"""The rule that takes seconds, and firmware that runs here; it has specimens of its own."""

FILES = tuple(one for one in RULES if one.id != STARTS_A_DEVICE)
"""The rules that look at files."""

Case = tuple[str, str, str]
"""Module, name, and what is inside the case's element."""

TESTS: tuple[Case, ...] = (
    ("tests.test_claim", "test_a_short_code_is_refused", ""),
    ("tests.test_claim", "test_a_long_code_is_taken", ""),
)


@dataclass(frozen=True, slots=True)
class Bench:
    """A product's directory, committed, beside a vendor; `work` holds all of it."""

    work: Path
    home: Home
    now: datetime = NOW

    @property
    def product(self) -> Path:
        return self.work / "product"

    @property
    def release(self) -> Path:
        return self.work / "out"

    @classmethod
    def found(cls, work: Path, home: Home) -> "Bench":
        """The sound product: the thermostat, signed by its developer; 1.0.0 is published."""
        bench = cls(work, home)
        shutil.copytree(EXAMPLE / "app", bench.product / "app", ignore=_BYTE_CODE)
        shutil.copy(EXAMPLE / "product.toml", bench.product)
        renew_dates(bench.product, today=NOW.date())
        bench._hire()
        (work / "wheels").mkdir()
        bench.write("device.lock", device_wheels(work / "wheels"))
        bench.bring()
        bench.replace("product.toml", _DEVELOPMENT, _SIGNED)
        bench.write("advisories/ex-2026-001.json", json.dumps(ADVISORY))
        bench.git("init", "--quiet", "--initial-branch=main")
        bench.commit("Begin")
        bench.build("1.0.0", "before")
        sign_release(work / "before", signing(bench.home), now=NOW)
        publish(work / "before", bench.home.root, clock=lambda: NOW)
        bench.write("README.md", "# A thermostat\n")
        bench.commit("Say what it is")
        bench.build()
        bench.write_result()
        return bench

    def copy(self, work: Path) -> "Bench":
        """Another one like it, to be spoiled; the vendor is shared, for nobody changes it."""
        work.mkdir()
        for name in ("product", "out", "keys", "wheels"):
            shutil.copytree(self.work / name, work / name, symlinks=True)
        for name in ("junit.xml", "advisories.sqlite"):
            shutil.copy(self.work / name, work)
        return Bench(work, self.home)

    def _hire(self) -> None:
        (self.work / "keys").mkdir()
        lines = []
        for name in _PEOPLE:
            key = self.work / "keys" / name
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)]
            subprocess.run(words, check=True)
            ended = ' valid-before="20200101"' if name == "leaver" else ""
            lines.append(f'{name}@example.com namespaces="git"{ended} {self.public_key(name)}\n')
        self.write("allowed-signers", "".join(lines[:2]))

    def public_key(self, name: str) -> str:
        """Of one of the people, as a line of the allowed signers ends."""
        text = (self.work / "keys" / f"{name}.pub").read_text(encoding="ascii")
        return " ".join(text.split()[:2])

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

    def end_support(self, day: str) -> None:
        """Have the design say that support ends on `day`, not committed yet."""
        promised = load_product(self.product / "product.toml").support.until
        self.replace("product.toml", f"until = {promised}", f"until = {day}")

    def git(self, *arguments: str, **environment: str) -> str:
        """git's answer, of the product's repository; no configuration of this machine counts."""
        done = subprocess.run(
            ["git", "-C", str(self.product), *arguments],
            env={**os.environ, **_ENVIRONMENT, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, message: str, *, by: str = "developer", **environment: str) -> str:
        """Commit all there is; the commit's id. `by` signs it; "": nobody."""
        self.git("add", "--all")
        key = self.work / "keys" / by
        sign = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={key}", "commit", "-S"]
        words = [*(sign if by else ["commit"]), "--quiet", "--allow-empty", "--message", message]
        self.git(*words, **environment)
        return self.git("rev-parse", "HEAD")

    def build(self, version: str = "1.1.0", name: str = "out", **options: Any) -> None:
        """Build what lies in the directory, as of HEAD, in place of what was built."""
        shutil.rmtree(self.work / name, ignore_errors=True)
        order = BuildOrder(
            product=self.product,
            trust=self.home.trust,
            version=version,
            security_counter=1,
            interface_version=1,
            bounds=BOUNDS,
            built_at=NOW,
            source_commit=self.git("rev-parse", "HEAD"),
            packages=PackageOrder(
                cache=self.work / "cache", wheels=self.work / "wheels", target=ELSEWHERE
            ),
        )
        build_release(replace(order, **options), self.work / name)

    def bring(
        self, *records: Record, now: datetime = NOW, silent: timedelta = timedelta(days=9)
    ) -> None:
        """Known vulnerabilities: one of a package that is not in the firmware, last touched
        `silent` ago, and `records`."""
        other = record(
            "PYSEC-2026-1",
            "made-up-parser",
            modified=f"{NOW - silent:%Y-%m-%dT%H:%M:%SZ}",
        )
        dump = write_directory(self.work / "dump" / "PyPI", other, *records)
        (self.work / "advisories.sqlite").unlink(missing_ok=True)
        AdvisoryStore.import_osv(self.work / "advisories.sqlite", dump.parent, now=now)

    def bring_dump(self, ecosystem: str, *records: Record) -> None:
        """Known vulnerabilities of one more ecosystem."""
        dump = write_directory(self.work / "dump" / ecosystem, *records)
        AdvisoryStore.import_osv(self.work / "advisories.sqlite", dump, now=self.now)

    def spoil_sbom(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Write the bill of materials otherwise, and name it so in the manifest."""
        path = self.release / "sbom.cdx.json"
        bill = json.loads(path.read_bytes())
        change(bill)
        path.write_text(json.dumps(bill))
        self.restamp(sbom=hashlib.sha256(path.read_bytes()).hexdigest())

    def spoil_image(self, change: Callable[[Path], None]) -> None:
        """Make the image of a tree that `change` has changed; bill and manifest are of it."""
        work = self.work / "spoiled"
        work.mkdir()
        manifest = load_built(self.release).manifest
        tree = unpack_image(self.release / "image.img", manifest.image, work).tree
        change(tree)
        image = build_image(tree, self.release / "image.img", level=1)
        self.restamp(image=image, sbom=add_bill(tree, image, self.release, packed=False))

    def rebuild(self, message: str, **options: Any) -> None:
        """Commit, build and test anew: a whole release of what was changed."""
        self.commit(message)
        self.build(**options)
        self.write_result()

    def restamp(self, **changes: Any) -> None:
        """Say in the manifest what is in `changes`, by default that it is of HEAD; and test anew.

        As `rebuild`, where nothing that goes into the image was changed, and faster.
        """
        path = self.release / "manifest.json"
        manifest = msgspec.json.decode(path.read_bytes(), type=ReleaseManifest)
        changes.setdefault("source_commit", self.git("rev-parse", "HEAD"))
        path.write_bytes(encode_json(msgspec.structs.replace(manifest, **changes)))
        self.write_result()

    def write_result(
        self, cases: tuple[Case, ...] = TESTS, *, commit: str | None = None, tree: str = "clean"
    ) -> None:
        """The result of the product's tests, of HEAD unless another commit is named."""
        stated = self.git("rev-parse", "HEAD") if commit is None else commit
        inner = "".join(
            f'<testcase classname="{module}" name="{name}">{inside}</testcase>'
            for module, name, inside in cases
        )
        properties = "".join(
            f'<property name="{name}" value="{value}"/>'
            for name, value in (("commit", stated), ("tree", tree))
        )
        suite = f"<testsuite><properties>{properties}</properties>{inner}</testsuite>"
        (self.work / "junit.xml").write_text(suite, encoding="utf-8")

    def judge(self, rules: tuple[Rule, ...] = FILES, *, since: str = "", **options: Any) -> Report:
        """The gate's report; `since`: as if the release before had been of that commit."""
        with self.opened(**options) as subject:
            if since and subject.last:
                last = msgspec.structs.replace(subject.last, source_commit=since)
                return run_gate(replace(subject, before=Before(last)), rules)
            return run_gate(subject, rules)

    def opened(self, **options: Any) -> AbstractContextManager[Subject]:
        """What the gate looks at."""
        given: dict[str, Any] = {
            "now": self.now,
            "repository": self.home.repository,
            "root": self.home.trust / "root.json",
            "tests": self.work / "junit.xml",
            "advisories": self.work / "advisories.sqlite",
            **options,
        }
        return open_subject(self.product, self.release, **given)

    def finding(self, rule: str, **options: Any) -> Finding:
        """What one rule says."""
        (chosen,) = [one for one in RULES if one.id == rule]
        return self.judge((chosen,), **options).judgements[0].finding
