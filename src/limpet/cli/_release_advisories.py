"""`limpet release advisories`: the data on known vulnerabilities, brought in and looked at.

Owns options and printing. Reads nothing by itself: `limpet.release.advisories` does.
"""

import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import typer

from limpet.cli._frame import emit, print_table, progress, show_examples
from limpet.errors import Unavailable
from limpet.release.advisories import (
    AdvisoryStore,
    ImportReport,
    Policy,
    RemoteDump,
    StoreFacts,
    find_staleness,
    make_remote_dump,
)
from limpet.storage import read_bounded

__all__ = ["add_commands", "default_advisories", "find_source", "load_roots"]

VARIABLE = "LIMPET_ADVISORIES"
_SHOWN = 10
_PEM_BYTES = 1 << 20
_HINT = "import a dump of today: limpet release advisories --import DIR|ZIP|URL"
_SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"


class EcosystemShown(msgspec.Struct, frozen=True, kw_only=True):
    """One ecosystem of the store, as `--json` gives it."""

    ecosystem: str
    advisories: int
    newest: datetime
    imported_at: datetime
    age_days: float  # since the import
    silent_days: float  # since its newest advisory
    stale: str = ""  # why the gate does not believe it; empty: it does


class RefusedShown(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the dump that was not taken."""

    entry: str
    reason: str
    message: str


class ImportShown(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did."""

    read: int
    added: int
    changed: int
    unchanged: int
    withdrawn: int
    refused_count: int
    refused: tuple[RefusedShown, ...]
    ecosystems: tuple[str, ...]


class AdvisoriesShown(msgspec.Struct, frozen=True, kw_only=True):
    """The store, and the import if there was one."""

    file: str
    advisories: int
    digest: str
    ecosystems: tuple[EcosystemShown, ...]
    refused_count: int
    refused: tuple[str, ...]
    stale: bool  # of any ecosystem: the gate is inconclusive
    max_age_days: float  # the gate's own bounds
    max_silent_days: float
    hint: str = ""
    imported: ImportShown | None = None


def add_commands(app: typer.Typer) -> None:
    """Hang the command below `limpet release`."""
    app.command(
        epilog=show_examples(
            "limpet release advisories --import PyPI/all.zip",
            "limpet release advisories --import mirror  # PyPI/all.zip and Debian/all.zip in it",
            "limpet release advisories --import https://mirror.example/PyPI/all.zip",
            "limpet release advisories --json",
        )
    )(advisories)


def default_advisories(environment: Mapping[str, str]) -> Path:
    """`$LIMPET_ADVISORIES`, else `limpet/advisories.sqlite` in XDG's directory for data."""
    if named := environment.get(VARIABLE):
        return Path(named)
    base = environment.get("XDG_DATA_HOME", "")
    # The specification: a relative path is to be ignored.
    if os.path.isabs(base):
        return Path(base) / "limpet" / "advisories.sqlite"
    home = environment.get("HOME", "")
    if not home:
        raise Unavailable("there is no home directory", hint="say --advisories FILE")
    return Path(home) / ".local" / "share" / "limpet" / "advisories.sqlite"


def find_source(named: str, roots: Path | None) -> Path | RemoteDump:
    """What `--import` names: a URL where it looks like one, whatever its scheme, else a path.

    Raises `Rejected("bad-url")`, and what `load_roots` raises.
    """
    if "://" not in named:
        return Path(named)
    return make_remote_dump(named, roots_pem=load_roots(roots, option="--import-roots"))


def load_roots(named: Path | None, *, option: str) -> bytes:
    """The roots of a file, or the system's, in PEM. Raises `Unavailable` where there are none."""
    file = named or Path(ssl.get_default_verify_paths().cafile or _SYSTEM_ROOTS)
    if not file.is_file():
        raise Unavailable(f"there are no roots at {file}", hint=f"say {option} PEM")
    return read_bounded(file, max_bytes=_PEM_BYTES)


def advisories(
    source: str | None = typer.Option(
        None, "--import", metavar="DIR|ZIP|URL", help="A dump in OSV's format, whole; https only."
    ),
    import_roots: Path | None = typer.Option(
        None, metavar="PEM", help="Whom to believe of the URL; default: the system's roots."
    ),
    ecosystem: list[str] | None = typer.Option(
        None, help="Of which it is whole, where it does not show that (repeatable; '*': of all)."
    ),
    store: Path | None = typer.Option(
        None, "--advisories", metavar="FILE", help=f"Where they are; else ${VARIABLE}, else XDG's."
    ),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Bring in what is known of vulnerabilities, and show how old it is.

    Status 1 if records could not be read: the gate then stays inconclusive.
    """
    path = store or default_advisories(os.environ)
    if source is None:
        with progress("verifying"), AdvisoryStore.open(path) as opened:
            facts = opened.facts
        emit(_show(path, facts, None, datetime.now(UTC)), json=json, human=_print)
        return
    now = datetime.now(UTC)
    with progress("importing") as shown:
        report = AdvisoryStore.import_osv(
            path,
            find_source(source, import_roots),
            now=now,
            progress=shown.note,
            ecosystems=tuple(ecosystem or ()),
        )
    emit(_show(path, report.facts, report, now), json=json, human=_print)
    if report.refused_count:
        raise typer.Exit(1)


def _show(
    path: Path, facts: StoreFacts, report: ImportReport | None, now: datetime
) -> AdvisoriesShown:
    policy = Policy()
    ecosystems = tuple(
        EcosystemShown(
            ecosystem=name,
            advisories=one.advisories,
            newest=one.newest,
            imported_at=one.imported_at,
            age_days=_days(now - one.imported_at),
            silent_days=_days(now - one.newest),
            stale=find_staleness(name, one, now, policy),
        )
        for name, one in sorted(facts.ecosystems.items())
    )
    stale = any(one.stale for one in ecosystems)
    return AdvisoriesShown(
        file=str(path),
        advisories=facts.advisories,
        digest=facts.digest,
        ecosystems=ecosystems,
        stale=stale,
        max_age_days=_days(policy.max_age),
        max_silent_days=_days(policy.max_silence),
        hint=_HINT if stale else "",
        refused_count=facts.refused_count,
        refused=facts.refused,
        imported=_show_import(report) if report else None,
    )


def _days(time: timedelta) -> float:
    return round(time / timedelta(days=1), 1)


def _show_import(report: ImportReport) -> ImportShown:
    refused = tuple(
        RefusedShown(entry=one.entry, reason=one.reason, message=one.message)
        for one in report.refused
    )
    return ImportShown(
        read=report.read,
        added=report.added,
        changed=report.changed,
        unchanged=report.unchanged,
        withdrawn=report.withdrawn,
        refused_count=report.refused_count,
        refused=refused,
        ecosystems=report.ecosystems,
    )


def _print(shown: AdvisoriesShown) -> None:
    if done := shown.imported:
        names = ", ".join(done.ecosystems)
        print(
            f"{names}: {done.read:,} record{'s' * (done.read != 1)} read, {done.added:,} new,"
            f" {done.changed:,} changed, {done.unchanged:,} as before"
        )
    rows = [
        (
            one.ecosystem,
            f"{one.advisories:,}",
            f"{one.newest:%Y-%m-%d}",
            f"{one.imported_at:%Y-%m-%d %H:%M} UTC, {one.age_days:.1f} days ago",
            "stale" if one.stale else "fresh",
        )
        for one in shown.ecosystems
    ]
    print_table(("ecosystem", "advisories", "newest", "imported", "for the gate"), rows)
    print(f"\n{shown.file}\nsha256 {shown.digest}")
    if shown.stale:
        print(
            f"\nStale, so the gate is inconclusive (it wants an import of the last"
            f" {shown.max_age_days:.0f} days, with an advisory of the last"
            f" {shown.max_silent_days:.0f}):"
        )
        for one in shown.ecosystems:
            if one.stale:
                print(f"  {one.stale}")
        print(f"  hint: {shown.hint}")
    if shown.refused_count:
        some = f"{shown.refused_count} record{'s' * (shown.refused_count != 1)}"
        print(f"\n{some} could not be read, so the gate is inconclusive:")
        why = {one.entry: one.message for one in done.refused} if done else {}
        for entry in shown.refused[:_SHOWN]:
            print("  " + ascii(f"{entry}: {why[entry]}" if entry in why else entry)[1:-1])
