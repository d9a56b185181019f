"""Invented advisories, as small as a test needs them, and dumps of them."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from limpet.release.advisories import AdvisoryStore, ImportReport, Lookup, match
from limpet.release.sbom import Component

HERE = Path(__file__).parent
DUMP = HERE / "dump"
HOSTILE = HERE / "hostile"
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)

Record = dict[str, object]


def record(
    name: str,
    package: str = "a",
    *,
    ecosystem: str = "PyPI",
    events: Sequence[Mapping[str, str]] = ({"introduced": "0"},),
    kind: str = "ECOSYSTEM",
    modified: str = "2026-11-20T08:00:00Z",
    **more: object,
) -> Record:
    affected = {
        "package": {"ecosystem": ecosystem, "name": package},
        "ranges": [{"type": kind, "events": list(events)}],
    }
    return {"id": name, "modified": modified, "affected": [affected]} | more


def write_directory(path: Path, *records: Record) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for one in records:
        (path / f"{one['id']}.json").write_text(json.dumps(one))
    return path


def write_zip(path: Path, *records: Record, method: int = zipfile.ZIP_DEFLATED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for one in records:
            archive.writestr(f"{one['id']}.json", json.dumps(one))
    return path


def bring(store: Path, source: Path, **more: object) -> ImportReport:
    return AdvisoryStore.import_osv(store, source, **({"now": NOW} | more))  # type: ignore[arg-type]


def ask(store: Path, *components: Component) -> Lookup:
    with AdvisoryStore.open(store) as opened:
        return match(opened, components)


def pypi(name: str, version: str) -> Component:
    return Component(name=name, version=version, purl=f"pkg:pypi/{name}@{version}")


def debian(binary: str, version: str, *, source: str = "", release: str = "debian-12") -> Component:
    text = version.replace(":", "%3A").replace("+", "%2B")
    purl = f"pkg:deb/debian/{binary}@{text}?arch=arm64&distro={release}"
    purl += f"&upstream={source}" if source else ""
    return Component(name=binary, version=version, purl=purl)


def ids(lookup: Lookup) -> set[str]:
    return {hit.advisory for hit in lookup.hits}
