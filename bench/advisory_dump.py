"""A dump of advisories as large as the real ones, made from a seed: the same bytes each time.

Owns the inventing: names, versions, ranges, texts. The sizes are of the kind that OSV's dumps of
PyPI and Debian have: a tenth of the packages has half of the advisories, records of PyPI
enumerate versions, records of Debian name three releases.
"""

import json
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from limpet.release.sbom import Component

__all__ = ["END", "Size", "make_components", "write_dump"]

END = datetime(2026, 11, 27, tzinfo=UTC)
"""The day of the dump; no advisory is later."""

_WORDS = (
    *("buffer", "overflow", "request", "parser", "remote", "attacker", "header", "archive"),
    *("path", "traversal", "denial", "service", "memory", "disclosure", "template", "cookie"),
    *("session", "certificate", "validation", "race", "condition", "integer", "conversion"),
    *("image", "decoder", "regular", "expression", "backtracking", "privilege", "symlink"),
)
_RELEASES = ("11", "12", "13")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many advisories, about how many packages."""

    pypi: int
    debian: int

    @property
    def packages(self) -> tuple[int, int]:
        """Packages of PyPI and of Debian that have advisories."""
        return max(self.pypi // 2, 10), max(self.debian // 12, 10)


def write_dump(root: Path, size: Size, *, changed: int = 0) -> Path:
    """Write `PyPI/all.zip` and `Debian/all.zip` below `root`.

    With `changed`, as many records of each are a day newer than without, and one is withdrawn.
    """
    for name, records in (
        ("PyPI", _pypi(size, changed)),
        ("Debian", _debian(size, changed)),
    ):
        target = root / name / "all.zip"
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for record in records:
                info = zipfile.ZipInfo(f"{record['id']}.json", (2026, 11, 27, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, json.dumps(record, separators=(",", ":")))
    return root


def make_components(size: Size, count: int) -> list[Component]:
    """The components of an SBOM: half of PyPI, half of Debian, a third without any advisory."""
    picked = random.Random(2)  # noqa: S311 - the same each time
    made = []
    packages, sources = size.packages
    for index in range(count):
        if index % 2:
            name = f"package-{picked.randrange(packages * 3 // 2)}"
            version = _pypi_version(picked)
            made.append(Component(name=name, version=version, purl=f"pkg:pypi/{name}@{version}"))
        else:
            name = f"source-{picked.randrange(sources * 3 // 2)}"
            version = _debian_version(picked)
            purl = f"pkg:deb/debian/lib{name}@{version}?arch=arm64&distro=debian-12&upstream={name}"
            made.append(Component(name=f"lib{name}", version=version, purl=purl))
    return made


def _pypi(size: Size, changed: int) -> Iterator[dict[str, object]]:
    invented = random.Random(0)  # noqa: S311 - the same each time
    packages, _ = size.packages
    for index in range(size.pypi):
        name = f"package-{_pick(invented, packages)}"
        start, fixed = _pypi_version(invented), _pypi_version(invented, major=9)
        events: list[dict[str, str]] = [{"introduced": invented.choice(("0", start))}]
        if invented.random() < 0.8:
            events.append({"fixed": fixed})
        yield _record(f"BENCH-PYPI-{index}", invented, index < changed, index == 0 < changed) | {
            "affected": [
                {
                    "package": {"ecosystem": "PyPI", "name": name, "purl": f"pkg:pypi/{name}"},
                    "ranges": [{"type": "ECOSYSTEM", "events": events}],
                    "versions": [_pypi_version(invented) for _ in range(invented.randrange(40))],
                }
            ]
        }


def _debian(size: Size, changed: int) -> Iterator[dict[str, object]]:
    invented = random.Random(1)  # noqa: S311 - the same each time
    _, sources = size.packages
    for index in range(size.debian):
        name = f"source-{_pick(invented, sources)}"
        affected: list[dict[str, object]] = []
        for release in _RELEASES:
            events: list[dict[str, str]] = [{"introduced": "0"}]
            if invented.random() < 0.7:
                events.append({"fixed": _debian_version(invented)})
            package = {"ecosystem": f"Debian:{release}", "name": name}
            affected.append(
                {
                    "package": package | {"purl": f"pkg:deb/debian/{name}?arch=source"},
                    "ranges": [{"type": "ECOSYSTEM", "events": events}],
                    "ecosystem_specific": {"urgency": "not yet assigned"},
                }
            )
        record = _record(f"BENCH-DEBIAN-{index}", invented, index < changed, index == 0 < changed)
        yield record | {"upstream": [f"CVE-2026-{index}"], "affected": affected}


def _pick(invented: random.Random, count: int) -> int:
    """Half of all picks are of the first tenth."""
    return invented.randrange(max(count // 10, 1) if invented.random() < 0.5 else count)


def _record(name: str, invented: random.Random, newer: bool, withdrawn: bool) -> dict[str, object]:
    modified = END - timedelta(minutes=invented.randrange(1440, 3_000_000))
    if newer:
        modified = END - timedelta(hours=1)
    gone = {"withdrawn": _text(modified)} if withdrawn else {}
    return {
        "schema_version": "1.7.3",
        "id": name,
        "modified": _text(modified),
        "published": _text(modified - timedelta(days=30)),
        "aliases": [f"{name}-ALIAS"],
        "summary": " ".join(invented.choices(_WORDS, k=10)),
        "details": " ".join(invented.choices(_WORDS, k=invented.randrange(30, 200))),
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}],
        "references": [{"type": "ADVISORY", "url": f"https://advisories.example/{name}"}],
    } | gone


def _pypi_version(invented: random.Random, *, major: int = 6) -> str:
    return f"{invented.randrange(major)}.{invented.randrange(30)}.{invented.randrange(20)}"


def _debian_version(invented: random.Random) -> str:
    upstream = f"{invented.randrange(9)}.{invented.randrange(30)}.{invented.randrange(20)}"
    return f"{upstream}-{invented.randrange(1, 6)}+deb12u{invented.randrange(1, 5)}"


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
