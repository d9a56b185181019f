"""`limpet advisory`: write, publish and list a product's own security advisories.

Owns options and printing. Decides nothing: `limpet.release.disclosure` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import typer

from limpet.cli._frame import emit, make_app, print_table, show_examples
from limpet.errors import Rejected
from limpet.product import PRODUCT_FILE, Product, load_product
from limpet.release.cvss import parse_cvss
from limpet.release.disclosure import (
    Advisory,
    Distribution,
    Order,
    choose_versions,
    draft_advisory,
    load_advisory,
    load_signer,
    publish_advisory,
    save_draft,
)
from limpet.release.watch import WATCH_DATABASE, Entry, WatchStore
from limpet.wire.release import ReleaseManifest

__all__ = ["app"]

app = make_app(
    "Write, publish and list a product's own security advisories (CSAF 2.0).",
    examples=[
        "limpet advisory new . --id EX-2026-001 --title 'A long name ends the app'"
        " --summary 'Whoever…' --affected '<1.2.0' --fixed 1.2.0 --vendor vendor",
        "limpet advisory publish . --id EX-2026-001 --vendor vendor",
        "limpet advisory list .",
    ],
)

_product = typer.Argument(..., metavar="PRODUCT", help="The product's directory.")
_id = typer.Option(..., "--id", help="As EX-2026-001; also the name of its file.")
_vendor = typer.Option(..., "--vendor", metavar="DIR", help="The vendor's directory.")
_known = typer.Option(None, "--vendor", metavar="DIR", help="For hashes of what was released.")
_json = typer.Option(False, "--json", help="Print JSON.")
_title = typer.Option("", help="One line; default: the open entry's summary.")
_summary = typer.Option("", help="What it is, and what it lets somebody do.")
_cve = typer.Option(None, metavar="CVE", help="Its CVE id (repeatable).")
_affected = typer.Option("", help="Versions, as 1.0.0,1.1.0, or '<1.2.0' of those published.")
_fixed = typer.Option("", help="The version that fixes it.")
_cvss = typer.Option("", metavar="VECTOR", help="As CVSS:3.1/AV:N/…; the score is computed.")
_severity = typer.Option("", help="A word, where there is no vector.")
_workaround = typer.Option("", help="What an owner can do without the update.")
_tests = typer.Option(
    None, "--regression-test", metavar="ID", help="tests/test_x.py::test_y (repeatable)."
)
_reference = typer.Option(None, metavar="URL", help="Where more is; https (repeatable).")
_entry = typer.Option("", "--open-entry", metavar="ID", help="Of the watch, with --vendor.")
_replace = typer.Option(False, "--replace", help="In the place of what is there.")


_gpg_key = typer.Option(
    "", "--gpg-key", metavar="KEY", help="Sign it by this key, as gpg knows it."
)
_gpg_home = typer.Option(None, "--gpg-home", metavar="DIR", help="gpg's directory.")


class SignedShown(msgspec.Struct, frozen=True, kw_only=True):
    """What `sign` prints as JSON."""

    fingerprint: str
    signed: tuple[str, ...]  # paths below advisories; those that had a good signature are not


class AdvisoryShown(msgspec.Struct, frozen=True, kw_only=True):
    """An advisory, as `--json` gives it."""

    id: str
    title: str
    status: str
    revision: str
    severity: str
    vulnerabilities: tuple[str, ...]
    changed_at: datetime
    file: str


@app.command(
    epilog=show_examples(
        "limpet advisory new . --id EX-2026-001 --title 'A long name ends the app'"
        " --summary 'Whoever reaches the device…' --affected 1.0.0,1.1.0 --fixed 1.2.0"
        " --cvss CVSS:3.1/AV:A/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
        " --regression-test tests/test_names.py::test_a_long_name_is_refused",
        "limpet advisory new . --id EX-2026-002 --vendor vendor --open-entry 0123456789abcdef",
    )
)
def new(
    product: Path = _product,
    advisory_id: str = _id,
    title: str = _title,
    summary: str = _summary,
    cve: list[str] | None = _cve,
    affected: str = _affected,
    fixed: str = _fixed,
    cvss: str = _cvss,
    severity: str = _severity,
    workaround: str = _workaround,
    regression_test: list[str] | None = _tests,
    reference: list[str] | None = _reference,
    vendor: Path | None = _known,
    open_entry: str = _entry,
    replace: bool = _replace,
    json: bool = _json,
) -> None:
    """Write a draft into the product's `advisories`."""
    design = load_product(product / PRODUCT_FILE)
    releases, host = _released(vendor, design)
    said = _Said(title, summary, tuple(cve or ()), affected, fixed, cvss, severity)
    if open_entry:
        said = _fill(said, _entries(vendor, open_entry))
    if not said.title or not said.summary:
        raise Rejected("no-text", "an advisory needs words", hint="say --title and --summary")
    order = Order(
        id=advisory_id,
        title=said.title,
        summary=said.summary,
        cves=said.cves,
        aliases=said.aliases,
        affected=choose_versions(said.affected, [one.version for one in releases]),
        fixed=choose_versions(said.fixed, ())[0] if said.fixed else "",
        score=parse_cvss(said.cvss) if said.cvss else None,
        severity=said.severity,
        workaround=workaround,
        tests=tuple(regression_test or ()),
        references=tuple(reference or ()),
        host=host,
    )
    draft = draft_advisory(order, design, releases, now=_now())
    file = save_draft(product, draft, replace=replace)
    emit(_show(load_advisory(file), str(file)), json=json, human=_print_one)


@dataclass(frozen=True, slots=True)
class _Said:
    """What was typed, or is known of an open entry."""

    title: str
    summary: str
    cves: tuple[str, ...]
    affected: str
    fixed: str
    cvss: str
    severity: str
    aliases: tuple[str, ...] = ()


def _fill(said: _Said, entries: Sequence[Entry]) -> _Said:
    """What was not typed, from the first of `entries`, and the releases of all of them."""
    first = entries[0]
    known = {one for one in first.aliases if one.startswith("CVE-")}
    return _Said(
        title=said.title or first.summary[:200],
        summary=said.summary or first.summary,
        cves=said.cves or tuple(sorted(known)),
        affected=said.affected or ",".join(sorted({v for one in entries for v in one.releases})),
        fixed=said.fixed or first.fixed_by,
        cvss=said.cvss or (first.vector if first.vector.startswith("CVSS:3") else ""),
        severity=said.severity or (first.severity if first.severity != "unrated" else ""),
        aliases=(first.advisory,),
    )


@app.command(
    epilog=show_examples(
        "limpet advisory publish . --id EX-2026-001 --vendor vendor",
        "limpet advisory publish . --id EX-2026-001 --vendor vendor --revision 'Fixed in 1.2.1'",
    )
)
def publish(
    product: Path = _product,
    advisory_id: str = _id,
    vendor: Path = _vendor,
    revision: str = typer.Option("", help="What changed since the last one."),
    gpg_key: str = _gpg_key,
    gpg_home: Path | None = _gpg_home,
    json: bool = _json,
) -> None:
    """Verify the advisory, and put it into the vendor's public list."""
    from limpet.vendor.home import hold_lock, open_home

    home = open_home(vendor)
    home.of(load_product(product / PRODUCT_FILE).model.name)
    signer = load_signer(gpg_key, gpg_home) if gpg_key else None
    distribution = Distribution(public=home.public, host=home.settings.hostnames[0], signer=signer)
    with hold_lock(home.online / "advisories.lock"):
        done = publish_advisory(product, advisory_id, distribution, summary=revision, now=_now())
    shown = _show(done.advisory, str(distribution.root / done.path))
    emit(shown, json=json, human=_print_one)


@app.command(
    epilog=show_examples("limpet advisory sign --vendor vendor --gpg-key psirt@vendor.example")
)
def sign(
    vendor: Path = _vendor,
    gpg_key: str = typer.Option(..., "--gpg-key", metavar="KEY", help="As gpg knows it."),
    gpg_home: Path | None = _gpg_home,
    json: bool = _json,
) -> None:
    """Sign each published advisory that has no good signature (OpenPGP)."""
    from limpet.vendor.home import hold_lock, open_home

    home, signer = open_home(vendor), load_signer(gpg_key, gpg_home)
    distribution = Distribution(public=home.public, host=home.settings.hostnames[0], signer=signer)
    with hold_lock(home.online / "advisories.lock"):
        done = SignedShown(fingerprint=signer.fingerprint, signed=distribution.sign_all(now=_now()))
    emit(done, json=json, human=_print_signed)


@app.command(name="list", epilog=show_examples("limpet advisory list ."))
def list_command(product: Path = _product, json: bool = _json) -> None:
    """The product's advisories, newest change first."""
    files = sorted((product / "advisories").glob("*.json"))
    found = [_show(load_advisory(file), str(file)) for file in files]
    found.sort(key=lambda one: one.changed_at, reverse=True)
    emit(tuple(found), json=json, human=_print_all)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _released(vendor: Path | None, design: Product) -> tuple[list[ReleaseManifest], str]:
    """What the vendor published of the product, and the name of its service."""
    if vendor is None:
        return [], design.vendor.hosts[0] if design.vendor.hosts else ""
    from limpet.vendor.home import open_home
    from limpet.vendor.repository import Repository

    home = open_home(vendor)
    repository = Repository(home.of(design.model.name), lambda: datetime.now(UTC))
    return [one.manifest for one in repository.releases()], home.settings.hostnames[0]


def _entries(vendor: Path | None, entry_id: str) -> list[Entry]:
    """The watch's entry of that id first, then others of the same advisory and model."""
    if vendor is None:
        raise Rejected("no-vendor", "an open entry is the vendor's", hint="say --vendor DIR")
    from limpet.vendor.home import open_home

    with WatchStore(open_home(vendor).online / WATCH_DATABASE) as store:
        entries = store.entries()
    named = [one for one in entries if one.id == entry_id]
    if not named:
        hint = f"see limpet release watch {vendor} --status --json"
        raise Rejected("unknown-entry", f"there is no entry {entry_id[:40]!a}", hint=hint)
    about = (named[0].model, named[0].advisory)
    return [*named, *(one for one in entries if (one.model, one.advisory) == about)]


def _show(advisory: Advisory, file: str) -> AdvisoryShown:
    document = advisory.document
    return AdvisoryShown(
        id=document.tracking.id,
        title=document.title,
        status=document.tracking.status,
        revision=document.tracking.version,
        severity=document.aggregate_severity.text if document.aggregate_severity else "",
        vulnerabilities=tuple(
            one.cve or ", ".join(each.text for each in one.ids) for one in advisory.vulnerabilities
        ),
        changed_at=document.tracking.current_release_date,
        file=file,
    )


def _print_signed(shown: SignedShown) -> None:
    for path in shown.signed:
        print(f"{path} is signed by {shown.fingerprint}")
    if not shown.signed:
        print("every advisory had a good signature")


def _print_one(shown: AdvisoryShown) -> None:
    print(f"{shown.id}, revision {shown.revision}, {shown.status}: {shown.file}")


def _print_all(shown: Sequence[AdvisoryShown]) -> None:
    rows = [
        (
            one.id,
            one.status,
            one.revision,
            one.severity,
            f"{one.changed_at:%Y-%m-%d}",
            " ".join(one.vulnerabilities),
            one.title,
        )
        for one in shown
    ]
    headings = ("advisory", "status", "revision", "severity", "changed", "about", "title")
    print_table(headings, rows)
