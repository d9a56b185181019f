"""`limpet release`: build, sign, publish firmware; state how long it is supported.

Owns options, prompts and printing. Decides nothing: `limpet.release` does the work.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import msgspec
import typer

from limpet.cli import (
    _interface,
    _release_advisories,
    _release_ceremony,
    _release_check,
    _release_keys,
    _release_packages,
    _release_sbom,
    _release_watch,
)
from limpet.cli._frame import emit, make_app, progress, show_examples
from limpet.cli._options import takes
from limpet.cli._release_packages import Packages
from limpet.cli._release_rollout import Rollout
from limpet.cli._release_signing import Signer, print_signed, show_signed, takes_signer
from limpet.cli._release_source import Source
from limpet.cli._released import print_release, show_release
from limpet.crypto.suites import find_suite
from limpet.errors import Rejected, Unavailable
from limpet.firmware.codec import LEVEL
from limpet.product import PRODUCT_FILE, load_product
from limpet.release import (
    LAST,
    BuildOrder,
    Form,
    OldRelease,
    Revocation,
    add_deltas,
    build_release,
    draft_revocation,
    draft_support,
    load_built,
    load_olds,
    publish,
    sign_release,
    sign_revocation,
    sign_support,
)
from limpet.wire.release import MAX_DELTAS, ReleaseManifest
from limpet.wire.support import AfterSupport, SupportStatement

__all__ = ["app"]

app = make_app(
    "Build, sign and publish firmware.",
    examples=[
        "limpet release build examples/thermostat --trust vendor/trust --version 1.1.0 --out out",
        "limpet release sign out --offline vendor/offline --repository vendor/public/repository",
        "limpet release publish out --vendor vendor",
    ],
)

_release_check.add_commands(app)
_release_advisories.add_commands(app)
_release_watch.add_commands(app)
_release_ceremony.add_commands(app)
app.add_typer(_release_keys.app, name="key")

_json = typer.Option(False, "--json", help="Print JSON.")
_request = typer.Option(None, help="Sign nothing: make a request for signers elsewhere.")
_out_or_file = typer.Argument(..., metavar="OUT|FILE", help="A release's directory, or a request.")
_out_argument = typer.Argument(..., metavar="OUT", help="The release's directory.")
_hardware = typer.Option(
    None, help="For this hardware only (repeatable); default: all of the design file."
)
_built_at = typer.Option(
    None, help="UTC; or SOURCE_DATE_EPOCH; the same time gives the same image."
)
_delta_from = typer.Option(
    None, help="An old release's directory, or the repository: its last 3 (repeatable)."
)
_suite = typer.Option(None, help="Algorithms that it goes by; suite.toml of --trust by default.")


class _Published(msgspec.Struct, frozen=True, kw_only=True):
    """What was published, as `--json` gives it."""

    published: str


_security_counter = typer.Option(
    1, min=0, help="Raise it when an older firmware must never come back."
)
_interface_version = typer.Option(
    1, min=0, help="Raise it when the owner must agree: the use of the device changes."
)
_form = typer.Option(
    Form.TREE, help="tree: slots that are directories; block: devices; bundle: RAUC's."
)
_level = typer.Option(
    LEVEL, min=1, max=LEVEL, help="Zstandard's: a low one packs fast, and is fetched longer."
)
_packer = typer.Option(
    None, help="A program run as PACKER INPUT OUTPUT that makes the block image or bundle."
)


@app.command(
    epilog=show_examples(
        "limpet release build examples/thermostat --trust vendor/trust --version 1.1.0 --out out"
    )
)
@takes("rollout", Rollout)
@takes("source", Source)
@takes("packages", Packages)
def build(
    product: Path = typer.Argument(..., help="The product's directory."),
    trust: Path = typer.Option(..., "--trust", help="Roots of trust that go into the firmware."),
    version: str = typer.Option(..., "--version", help="As 1.2.0."),
    out: Path = typer.Option(..., "--out", help="A new directory for the release."),
    security_counter: int = _security_counter,
    interface_version: int = _interface_version,
    minimum_version: str = typer.Option("0.0.0", help="The oldest version to come from."),
    hardware_revision: list[str] | None = _hardware,
    built_at: datetime | None = _built_at,
    delta_from: list[Path] | None = _delta_from,
    suite: str | None = _suite,
    form: Form = _form,
    packer: Path | None = _packer,
    level: int = _level,
    *,
    rollout: Rollout,
    source: Source,
    packages: Packages,
    json: bool = _json,
) -> None:
    """Build the image and its manifest; nothing is signed yet."""
    at = _utc(built_at) or _source_date() or datetime.now(UTC).replace(microsecond=0)
    order = BuildOrder(
        product=product,
        trust=trust,
        version=version,
        security_counter=security_counter,
        interface_version=interface_version,
        minimum_version=minimum_version,
        hardware_revisions=tuple(hardware_revision or ()),
        built_at=at,
        source_commit=source.commit_of(product),
        because=source.because,
        after_support=source.after_support,
        suite=find_suite(suite) if suite else None,
        form=form,
        packer=packer,
        level=level,
        bounds=rollout.bounds(version, at),
        delta_from=_olds(product, delta_from, form.value, version),
        packages=packages.order(),
    )
    _build(order, out, json=json)


def _build(order: BuildOrder, out: Path, *, json: bool) -> None:
    with progress(f"building {order.version}") as shown:
        built = build_release(order, out, shown.note)
    emit(show_release(built), json=json, human=print_release)


@app.command(
    epilog=show_examples(
        "limpet release delta out --from vendor/public/repository",
        "limpet release delta out --from out-1.0.0 --from out-1.0.1",
    )
)
def delta(
    out: Path = _out_argument,
    old: list[Path] = typer.Option(
        ..., "--from", help="An old release's directory, or the repository (repeatable)."
    ),
    last: int = typer.Option(LAST, min=1, max=MAX_DELTAS, help="Releases of a repository."),
    json: bool = _json,
) -> None:
    """Make deltas for a release that is built and not signed yet."""
    manifest = load_built(out).manifest
    olds = load_olds(
        old,
        model=manifest.model,
        kind=manifest.image.kind,
        below=manifest.version,
        last=last,
        skipped=_say_skipped(manifest.image.kind),
    )
    with progress(f"deltas to {manifest.version}") as shown:
        built = add_deltas(out, olds, shown.note)
    emit(show_release(built), json=json, human=print_release)


@app.command(
    epilog=show_examples(
        "limpet release sign out --offline vendor/offline --repository vendor/public/repository",
        "limpet release sign 1.2.0.request --key mine.pem --key mine-pq.pem",
    )
)
@takes_signer
def sign(
    out: Path = _out_or_file,
    yes: bool = typer.Option(False, "--yes", help="Sign a request without being asked."),
    again: bool = typer.Option(False, "--again", help="Though its version was signed otherwise."),
    *,
    signer: Signer,
    json: bool = _json,
) -> None:
    """Sign a release beside the drawer, or a request on a machine of one's own, which takes a
    --key and the root.json beside it. The next signer runs it on the same."""
    if out.is_file():
        _release_ceremony.sign_file(out, signer, holders=False, yes=yes, again=again, json=json)
        return
    if not out.exists():
        raise Unavailable(
            f"there is no {out}: give a release's directory, or a request",
            hint="limpet release build --out DIR makes the one, limpet release request the other",
        )
    built = load_built(out)
    signed = sign_release(out, signer.order(built.manifest.model), now=datetime.now(UTC))
    emit(show_signed(signed), json=json, human=print_signed)


app.command(name="sbom", epilog=show_examples(*_release_sbom.EXAMPLES))(_release_sbom.show_sbom)
app.command(name="check-interface", epilog=show_examples(_interface.EXAMPLE))(
    _interface.check_interface
)


app.command(name="lock", epilog=show_examples(_release_packages.LOCK_EXAMPLE))(
    _release_packages.lock
)


@app.command(name="publish", epilog=show_examples("limpet release publish out --vendor vendor"))
def publish_command(
    out: Path = _out_argument,
    vendor: Path = typer.Option(..., "--vendor", help="The vendor's directory."),
    json: bool = _json,
) -> None:
    """Give what was signed to the vendor's repository, which verifies it again."""
    with progress("publishing"):
        text = publish(out, vendor, clock=lambda: datetime.now(UTC))
    emit(_Published(published=text), json=json, human=lambda done: print(f"{done.published}"))


@app.command(
    epilog=show_examples(
        "limpet release support --model thermostat --until 2031-12-31 --text 'Updates until …'"
        " --offline vendor/offline --repository vendor/public/repository --out support"
    )
)
@takes_signer
def support(
    model: str = typer.Option(..., help="The model that the statement is for."),
    until: datetime = typer.Option(..., help="UTC; a date means its end."),
    text: str = typer.Option(..., help="What the owner reads."),
    out: Path = typer.Option(..., "--out", help="A directory for the signed statement."),
    after: AfterSupport = typer.Option(
        AfterSupport.KEEPS_WORKING_LOCALLY, help="What a device does afterwards."
    ),
    request: Path | None = _request,
    *,
    shorten: bool = typer.Option(
        False, "--shorten", help="Sign an end before the published one: it breaks a promise."
    ),
    signer: Signer,
    json: bool = _json,
) -> None:
    """State and sign until when a model gets updates; publish it like a release."""
    now = datetime.now(UTC).replace(microsecond=0)
    end = until if until.time() != time(0) else until + timedelta(days=1) - timedelta(seconds=1)
    statement = SupportStatement(
        model=model, until=end.replace(tzinfo=UTC), after=after, text=text, issued_at=now
    )
    if request is not None:
        draft = draft_support(statement, out, signer.draft_order(), now=now, shorten=shorten)
        _release_ceremony.request_for(draft, request, signer, json=json)
        return
    signed = sign_support(statement, out, signer.order(model), now=now, shorten=shorten)
    emit(show_signed(signed), json=json, human=print_signed)


@app.command(
    epilog=show_examples(
        "limpet release revoke 1.1.0 --model thermostat --offline vendor/offline"
        " --repository vendor/public/repository --out revoked"
    )
)
@takes_signer
def revoke(
    version: str = typer.Argument(..., help="As 1.1.0."),
    model: str = typer.Option(..., help="The model of the release."),
    out: Path = typer.Option(..., "--out", help="A directory for the signed revocation."),
    request: Path | None = _request,
    *,
    signer: Signer,
    json: bool = _json,
) -> None:
    """Take the offline signature off a release that must never run; publish it like a release."""
    revocation = Revocation(model=model, version=version)
    if request is not None:
        draft = draft_revocation(revocation, out, signer.draft_order(), now=datetime.now(UTC))
        _release_ceremony.request_for(draft, request, signer, json=json)
        return
    signed = sign_revocation(revocation, out, signer.order(model), now=datetime.now(UTC))
    emit(show_signed(signed), json=json, human=print_signed)


@app.command(
    epilog=show_examples("limpet release show out", "limpet release show FILE --root root.json")
)
def show(
    out: Path = _out_or_file,
    root: Path | None = typer.Option(None, "--root", help="Of a request: your root of trust."),
    json: bool = _json,
) -> None:
    """What a release's directory holds, or what a request asks to sign."""
    if out.is_file():
        _release_ceremony.show_file(out, root, holders=False, json=json)
        return
    emit(show_release(load_built(out)), json=json, human=print_release)


def _say_skipped(kind: str) -> Callable[[ReleaseManifest], None]:
    """To standard error: standard output may be JSON."""

    def say(base: ReleaseManifest) -> None:
        typer.echo(
            f"no delta from {base.version}: a {base.image.kind}, and this is a {kind}", err=True
        )

    return say


def _olds(
    product: Path, sources: list[Path] | None, kind: str, version: str
) -> tuple[OldRelease, ...]:
    if not sources:
        return ()
    model = load_product(product / PRODUCT_FILE).model.name
    skipped = _say_skipped(kind)
    return load_olds(sources, model=model, kind=kind, below=version, skipped=skipped)


def _utc(given: datetime | None) -> datetime | None:
    return given.replace(tzinfo=UTC, microsecond=0) if given else None


def _source_date() -> datetime | None:
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Rejected("malformed", "SOURCE_DATE_EPOCH is not a number of seconds") from error
