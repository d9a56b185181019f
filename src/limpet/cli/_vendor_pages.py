"""`limpet vendor pages`: the vendor's public face, as files, and what of it is due.

Owns arguments and printing. What pages say lives in `limpet.vendor.pages`.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from limpet.cli._frame import emit, make_app, print_table, progress, show_examples

if TYPE_CHECKING:
    from limpet.vendor.home import Home
    from limpet.vendor.pages import Concern, Contact, Dossier

__all__ = ["app"]

app = make_app(
    "The vendor's public face: what anybody may know of its products.",
    examples=["limpet vendor pages build vendor --out site", "limpet vendor pages status vendor"],
)

_directory = typer.Argument(..., metavar="DIR", help="The vendor's directory.")
_json_option = typer.Option(False, "--json", help="Print JSON.")


class _Built(msgspec.Struct, frozen=True, kw_only=True):
    """What `build` prints as JSON."""

    directory: str
    pages: int
    models: tuple[str, ...]
    due: "tuple[Concern, ...]"  # soon, or missing


class _Placed(msgspec.Struct, frozen=True, kw_only=True):
    """What `evidence` prints as JSON."""

    model: str
    audited: datetime
    totals: dict[str, int]


class _Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What `sign-contact` prints as JSON."""

    file: str
    expires: datetime | None


@app.command(epilog=show_examples("limpet vendor pages build vendor --out site"))
def build(
    directory: Path = _directory,
    out: Path = typer.Option(..., "--out", help="New, empty, or pages: replaced as a whole."),
    json: bool = _json_option,
) -> None:
    """Write all pages as files for any web server, or none at all. Refuses what is stale."""
    from limpet.vendor.home import open_home
    from limpet.vendor.pages import (
        examine,
        render_papers,
        render_site,
        replace_site,
        verify_publishable,
    )

    home, now = open_home(directory), datetime.now(UTC)
    with progress("reading", total=None) as shown:
        dossiers, contact = _load(home, now)
        concerns = examine(dossiers, contact, now)
        verify_publishable(concerns)
        given = {"now": now, "contact": contact.text, "signed": contact.signed}
        shown.note("rendering pages")
        site = dict(render_site(dossiers, **given))  # type: ignore[arg-type]
        shown.note("setting papers")
        site |= render_papers(dossiers, **given)  # type: ignore[arg-type]
        shown.note("writing")
        pages = replace_site(site, out)
    built = _Built(
        directory=str(out),
        pages=pages,
        models=home.settings.models,
        due=tuple(one for one in concerns if one.state.value != "good"),
    )

    def human(value: _Built) -> None:
        print(f"{value.pages} pages of {', '.join(value.models)} in {value.directory}")
        for one in value.due:
            until = f" ({one.until})" if one.until else ""
            print(f"warning: {one.model}: {one.what}: {one.state.value}{until}", file=sys.stderr)

    emit(built, json=json, human=human)


def _load(home: "Home", now: datetime) -> "tuple[tuple[Dossier, ...], Contact]":
    from limpet.vendor.pages import load_contact, load_dossier

    dossiers = tuple(
        load_dossier(home.of(model), clock=lambda: now) for model in home.settings.models
    )
    host = home.settings.hostnames[0]
    return dossiers, load_contact(dossiers[0].product, home.public, host=host, now=now)


@app.command(epilog=show_examples("limpet vendor pages status vendor"))
def status(directory: Path = _directory, json: bool = _json_option) -> None:
    """What of the public face is due, missing or damaged; status 1 if it cannot be published."""
    from limpet.vendor.home import open_home
    from limpet.vendor.pages import examine

    now = datetime.now(UTC)
    concerns = examine(*_load(open_home(directory), now), now)

    def human(values: object) -> None:
        rows = [
            (one.model, one.state.value, str(one.until or "-"), one.what, one.advice)
            for one in concerns
        ]
        print_table(("model", "state", "until", "what", "do"), rows)

    emit(concerns, json=json, human=human)
    if any(one.stops for one in concerns):
        raise typer.Exit(1)


@app.command(epilog=show_examples("limpet vendor pages evidence vendor report.json"))
def evidence(
    directory: Path = _directory,
    report: Path = typer.Argument(..., metavar="FILE", help="As limpet audit --json wrote it."),
    model: str = typer.Option("", "--model", help="Of which model, where there are several."),
    json: bool = _json_option,
) -> None:
    """Let the pages of a model show the result of an audit."""
    from limpet.vendor.home import open_home
    from limpet.vendor.pages.records import place_evidence

    home = open_home(directory).choose(model)
    found = place_evidence(report, home.public, home.model, now=datetime.now(UTC))
    placed = _Placed(
        model=home.model,
        audited=found.started,
        totals={verdict.value: count for verdict, count in found.totals.items()},
    )

    def human(value: _Placed) -> None:
        said = ", ".join(f"{count} {word}" for word, count in value.totals.items() if count)
        print(f"the pages of {value.model} show the audit of {value.audited:%Y-%m-%d}: {said}")

    emit(placed, json=json, human=human)


@app.command(
    name="sign-contact",
    epilog=show_examples("limpet vendor pages sign-contact vendor --key security@vendor.example"),
)
def sign_contact(
    directory: Path = _directory,
    key: str = typer.Option(..., "--key", help="The OpenPGP key that signs, as gpg knows it."),
    gpg_home: Path | None = typer.Option(None, "--gpg-home", help="gpg's directory."),
    json: bool = _json_option,
) -> None:
    """Sign security.txt with GnuPG (RFC 9116, 2.3); pages and service then have it."""
    from limpet.product import load_product
    from limpet.vendor.home import open_home
    from limpet.vendor.pages.contact import sign_contact as sign
    from limpet.vendor.pages.contact import signed_file

    home = open_home(directory)
    signed = sign(
        load_product(home.product_file),
        home.public,
        host=home.settings.hostnames[0],
        now=datetime.now(UTC),
        key=key,
        home=gpg_home,
    )
    made = _Signed(file=str(signed_file(home.public)), expires=signed.expires)

    def human(value: _Signed) -> None:
        day = f"{value.expires:%Y-%m-%d}" if value.expires else "-"
        print(f"{value.file} is signed and good until {day}; sign it again before then")

    emit(made, json=json, human=human)
