"""`limpet release watch`: published releases against new advisories, once or as a service.

Owns options, signals and printing. Decides nothing: `limpet.release.watch` does.
"""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import typer

from limpet.cli._frame import emit, print_table, progress, show_examples
from limpet.cli._release_advisories import default_advisories, find_source, load_roots
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.product import PRODUCT_FILE, load_product
from limpet.release.advisories import AdvisoryStore, RemoteDump, load_triage, load_vex
from limpet.release.watch import (
    UNMATCHED,
    WATCH_DATABASE,
    Entry,
    Looked,
    LookOrder,
    Statements,
    WatchStore,
    Webhook,
    look,
    make_webhook,
    watch,
)

__all__ = ["add_commands"]

_SECONDS = 3600.0
_SHOWN = 5
_VEX = "vex"  # of a product's directory, as for the gate
_vendor = typer.Argument(..., metavar="VENDOR", help="The vendor's directory.")
_store = typer.Option(None, "--advisories", metavar="FILE", help="The store of advisories.")
_source = typer.Option(
    None, "--import", metavar="DIR|ZIP|URL", help="A dump to bring in before each look."
)
_source_roots = typer.Option(
    None, "--import-roots", metavar="PEM", help="Whom to believe of its URL; else the system's."
)
_every = typer.Option(
    None, "--every", metavar="HOURS", min=0.01, max=168.0, help="Go on as a service; else once."
)
_webhook = typer.Option(None, metavar="URL", help="POST each new entry there; https only.")
_roots = typer.Option(
    None, metavar="PEM", help="Whom to believe of the webhook; default: the system's roots."
)
_product = typer.Option(
    None, metavar="DIR", help="A product: its vulnerabilities.toml and vex/ (repeatable)."
)
_vex = typer.Option(None, metavar="FILE", help="More VEX statements (repeatable).")
_clock = typer.Option(
    False, "--unsafe-clock-was-wrong", help="Look though the last look was in the future."
)


_OLDEST_LOOK = timedelta(days=8)  # as `limpet audit` has it
_SKEW = timedelta(hours=1)


class EntryShown(msgspec.Struct, frozen=True, kw_only=True):
    """An entry, as `--json` gives it: all of it, with its ages in days."""

    entry: Entry
    open: bool
    age_days: float
    days_to_fix: float | None


class TroubleShown(msgspec.Struct, frozen=True, kw_only=True):
    """Why a look is inconclusive."""

    reason: str
    message: str
    model: str
    version: str


class WatchShown(msgspec.Struct, frozen=True, kw_only=True):
    """A look, or the status between two."""

    looked_at: datetime | None
    conclusive: bool | None  # of this look; of the status: of the last one, and it is not old
    troubles: tuple[TroubleShown, ...] = ()
    opened: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    undelivered: int = 0
    entries: tuple[EntryShown, ...]


def add_commands(app: typer.Typer) -> None:
    """Hang the command below `limpet release`."""
    app.command(
        name="watch",
        epilog=show_examples(
            "limpet release watch vendor --import mirror",
            "limpet release watch vendor --import mirror --every 24"
            " --webhook https://tracker.example/hook",
            "limpet release watch vendor --status",
        ),
    )(watch_command)


def watch_command(
    vendor: Path = _vendor,
    store: Path | None = _store,
    source: str | None = _source,
    import_roots: Path | None = _source_roots,
    every: float | None = _every,
    webhook: str | None = _webhook,
    webhook_roots: Path | None = _roots,
    product: list[Path] | None = _product,
    vex: list[Path] | None = _vex,
    status: bool = typer.Option(False, "--status", help="Show the entries; look at nothing."),
    unsafe_clock_was_wrong: bool = _clock,
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Look whether published releases have vulnerabilities that became known.

    Status 1 if an open one can be fixed, 3 if not all could be looked at; so for --status, by the
    last look.
    """
    if status:
        shown = _status(vendor)
        emit(shown, json=json, human=_print)
        raise typer.Exit(_exit_code(shown))
    stop = threading.Event()
    order = LookOrder(
        vendor=vendor,
        advisories=store or default_advisories(os.environ),
        statements=_statements(product or (), vex or ()),
        webhook=_make_webhook(webhook, webhook_roots, stop) if webhook else None,
        every_hours=every,
        unsafe_clock_was_wrong=unsafe_clock_was_wrong,
    )
    dump = find_source(source, import_roots) if source else None
    if every is None:
        looked = _look(order, dump)
        emit(_show(looked), json=json, human=_print)
        raise typer.Exit(looked.exit_code)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    watch(
        lambda: _look(order, dump, even_in_old=True),
        every_seconds=every * _SECONDS,
        wait=stop.wait,
        random=random.SystemRandom().random,
        told=lambda result: _tell(result, json=json),
    )


def _look(
    order: LookOrder, source: Path | RemoteDump | None, *, even_in_old: bool = False
) -> Looked:
    """Import, and look. The service looks in the old data too, which say how old they are."""
    with progress("watch") as shown:
        if source is not None:
            try:
                AdvisoryStore.import_osv(
                    order.advisories, source, now=datetime.now(UTC), progress=shown.note
                )
            except LimpetError as error:
                if not even_in_old:
                    raise
                typer.echo(f"limpet: not imported: {ascii(str(error))[1:-1]}", err=True)
        return look(order, clock=lambda: datetime.now(UTC), progress=shown.note)


def _statements(products: Sequence[Path], vex: Sequence[Path]) -> dict[str, Statements]:
    said = load_vex(vex)
    found = {}
    for directory in products:
        model = load_product(directory / PRODUCT_FILE).model.name
        own = load_vex(sorted((directory / _VEX).glob("*.json")))
        found[model] = Statements(vex=own + said, triage=load_triage(directory))
    if said and not found:
        raise Rejected("no-product", "a VEX statement needs a product", hint="say --product DIR")
    return found


def _make_webhook(url: str, roots: Path | None, stop: threading.Event) -> Webhook:
    pem = load_roots(roots, option="--webhook-roots")
    return make_webhook(url, roots_pem=pem, sleep=stop.wait)


def _status(vendor: Path) -> WatchShown:
    from limpet.vendor.home import open_home

    file = open_home(vendor).online / WATCH_DATABASE
    if not file.exists():
        raise Unavailable("nobody has looked yet", hint=f"limpet release watch {vendor}")
    with WatchStore(file) as store:
        entries, last = store.entries(), store.last_look()
        conclusive = store.was_conclusive()
        undelivered = len(store.owed()) + store.given_up()
    now = datetime.now(UTC)
    troubles = tuple(_doubts(last, now, conclusive=conclusive))
    return WatchShown(
        looked_at=last,
        conclusive=not troubles,
        troubles=troubles,
        undelivered=undelivered,
        entries=_entries(entries, now),
    )


def _doubts(last: datetime | None, now: datetime, *, conclusive: bool) -> Iterator[TroubleShown]:
    """Why the status is not the truth of now: without these, silence would look like safety."""
    if last is not None and last - now > _SKEW:
        message = f"the last look was on {last.date()}, in the future: a clock is wrong"
        yield TroubleShown(reason="clock", message=message, model="", version="")
    elif last is None or now - last > _OLDEST_LOOK:
        message = f"nobody has looked for {_OLDEST_LOOK.days} days: look again"
        yield TroubleShown(reason="old-look", message=message, model="", version="")
    elif not conclusive:
        message = "the last look could not look at everything: look again, it says at what"
        yield TroubleShown(reason="inconclusive-look", message=message, model="", version="")


def _exit_code(shown: WatchShown) -> int:
    if not shown.conclusive:
        return 3
    return int(any(one.open and one.entry.fixable for one in shown.entries))


def _show(looked: Looked) -> WatchShown:
    return WatchShown(
        looked_at=looked.at,
        conclusive=looked.conclusive,
        troubles=tuple(
            TroubleShown(
                reason=one.reason, message=one.message, model=one.model, version=one.version
            )
            for one in looked.troubles
        ),
        opened=looked.opened,
        closed=looked.closed,
        undelivered=looked.undelivered,
        entries=_entries(looked.entries, looked.at),
    )


def _entries(entries: Sequence[Entry], now: datetime) -> tuple[EntryShown, ...]:
    ordered = sorted(entries, key=lambda one: (not one.is_open, one.opened_at))
    return tuple(
        EntryShown(
            entry=one,
            open=one.is_open,
            age_days=_days((one.closed_at or now) - one.opened_at),
            days_to_fix=None if one.time_to_fix is None else _days(one.time_to_fix),
        )
        for one in ordered
    )


def _days(span: timedelta) -> float:
    return round(max(span, timedelta()) / timedelta(days=1), 1)


def _tell(result: Looked | LimpetError, *, json: bool) -> None:
    """One result of the service: a line, or one JSON document a line."""
    if isinstance(result, LimpetError):
        typer.echo(f"limpet: {ascii(str(result))[1:-1]}", err=True)
        return
    if json:
        print(msgspec.json.encode(_show(result)).decode(), flush=True)
        return
    still = sum(one.is_open for one in result.entries)
    said = "" if result.conclusive else "; INCONCLUSIVE: " + _reasons(result)
    print(
        f"{result.at:%Y-%m-%d %H:%M} UTC: {len(result.seen)} releases, {still} open,"
        f" {len(result.opened)} new, {len(result.closed)} closed{said}",
        flush=True,
    )


def _reasons(result: Looked) -> str:
    return ", ".join(sorted({one.reason for one in result.troubles}))


def _print(shown: WatchShown) -> None:
    rows = [
        (
            one.entry.advisory,
            f"{one.entry.model} {_some(one.entry.releases)}",
            one.entry.severity,
            "open" if one.open else (one.entry.closing.value if one.entry.closing else ""),
            f"{one.age_days:g} d",
            str(one.entry.devices),
            _what(one),
        )
        for one in shown.entries
    ]
    if rows:
        headings = ("advisory", "releases", "severity", "state", "age", "devices", "what")
        print_table(headings, rows)
        print()
    count = Counter(one.open for one in shown.entries)
    when = f"{shown.looked_at:%Y-%m-%d %H:%M} UTC" if shown.looked_at else "never"
    print(f"{count[True]} open, {count[False]} closed; looked {when}")
    for one in shown.troubles[:_SHOWN]:
        where = f"{one.model} {one.version}: " if one.model else ""
        print("  inconclusive: " + ascii(f"{where}{one.message}")[1:-1])
    if len(shown.troubles) > _SHOWN:
        print(f"  and {len(shown.troubles) - _SHOWN} more reasons; see --json")
    if any(one.reason == UNMATCHED for one in shown.troubles):
        print("  hint: say in vulnerabilities.toml who watches them, and --product DIR here")
    if shown.undelivered:
        print(f"{shown.undelivered} notes that the webhook did not take")


def _some(versions: Sequence[str]) -> str:
    more = len(versions) - 3
    return ", ".join(versions[:3]) + (f" and {more} more" if more > 0 else "")


def _what(one: EntryShown) -> str:
    entry = one.entry
    if entry.fixed_by:
        took = f", {one.days_to_fix:g} d after opening" if one.days_to_fix is not None else ""
        return f"fixed by {entry.fixed_by}{took}"
    named = f"{entry.component} {entry.version}"
    return f"{named}: {entry.fix or entry.summary or 'no fix is known'}"
