"""`limpet release request / sign FILE / merge`: signing by people who are elsewhere.

Owns how a request is shown, and the question before a signature. What may be signed is decided in
`limpet.release.ceremony`.
"""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from limpet.cli._frame import emit, show_examples
from limpet.cli._release_signing import Signer, takes_signer
from limpet.cli._secrets import secret_from
from limpet.crypto.token_keys import is_token_uri
from limpet.errors import Unavailable
from limpet.storage import write_atomic

if TYPE_CHECKING:
    from securesystemslib.signer import Signer as KeySigner

    from limpet.crypto.suites import Suite
    from limpet.release import Draft
    from limpet.release.ceremony import Opened

__all__ = ["add_commands", "merge_files", "request_for", "show_file", "sign_file", "verify_new"]

_json = typer.Option(False, "--json", help="Print JSON.")


class StandingShown(msgspec.Struct, frozen=True, kw_only=True):
    """How far a role is from valid, as `--json` gives it."""

    role: str
    by: str
    signatures: int
    threshold: int
    missing: tuple[str, ...]
    needed: bool
    keys: tuple[str, ...]


class RequestShown(msgspec.Struct, frozen=True, kw_only=True):
    """A request, as `--json` gives it."""

    file: str
    title: str
    digest: str
    lines: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    standing: tuple[StandingShown, ...]
    complete: bool


def add_commands(app: typer.Typer) -> None:
    """Put `request` and `merge` beside the other commands of `limpet release`."""
    app.command(
        epilog=show_examples(
            "limpet release request out --repository vendor/public/repository"
            " --root vendor/trust/root.json --file 1.2.0.request"
        )
    )(request)
    app.command(
        epilog=show_examples(
            "limpet release merge out first.request second.request --root vendor/trust/root.json"
        )
    )(merge)


@takes_signer
def request(
    out: Path = typer.Argument(..., metavar="OUT", help="The release's directory."),
    file: Path = typer.Option(..., "--file", help="The request that is made."),
    *,
    signer: Signer,
    json: bool = _json,
) -> None:
    """Make the one file that signers elsewhere need; they run `limpet release sign FILE`."""
    from limpet.release import draft_release, load_built

    load_built(out)
    draft = draft_release(out, signer.draft_order(), now=datetime.now(UTC))
    request_for(draft, file, signer, json=json)


def merge(
    out: Path = typer.Argument(..., metavar="OUT", help="The release's directory."),
    files: list[Path] = typer.Argument(..., metavar="FILE…", help="As signers gave them back."),
    root: Path = typer.Option(..., "--root", help="The root of trust."),
    json: bool = _json,
) -> None:
    """Put the signatures of several people together, in any order, for `limpet release publish`."""
    from limpet.release import METADATA_FILE
    from limpet.release.ceremony import verify_subject

    opened = merge_files(files, root, holders=False)
    [(_, data)] = opened.request.proposed.items()
    verify_subject(opened.request, out)
    write_atomic(out / METADATA_FILE, data, mode=0o644)
    emit(_shown(out / METADATA_FILE, opened), json=json, human=_print_standing)


def request_for(draft: "Draft", file: Path, signer: Signer, *, json: bool) -> None:
    """Write the request for `draft` into `file`, and show it."""
    from limpet.release.ceremony import open_request, request_release, save_request

    verify_new(file)
    order, now = signer.draft_order(), datetime.now(UTC)
    made = request_release(draft, order.repository, now=now)
    opened = open_request(made, root=order.root, holders=False, now=now)
    save_request(made, file)
    emit(_shown(file, opened), json=json, human=_print_request)


def show_file(file: Path, root: Path | None, *, holders: bool, json: bool) -> None:
    """Show the request in `file` as the owner of `root` must see it."""
    from limpet.release.ceremony import load_request, open_request

    opened = open_request(
        load_request(file), root=_root(root, ()), holders=holders, now=datetime.now(UTC)
    )
    emit(_shown(file, opened), json=json, human=_print_request)


def sign_file(
    file: Path, signer: Signer, *, holders: bool, yes: bool, again: bool, json: bool
) -> None:
    """Show the request in `file`, ask, sign it, and write it back."""
    from limpet.release.ceremony import sign_request

    def confirm(opened: "Opened") -> None:
        say = sys.stderr if json else sys.stdout
        _print_request(_shown(file, opened), say=lambda line: print(line, file=say))
        if yes:
            return
        if not sys.stdin.isatty():
            raise Unavailable(
                "there is no terminal to ask on, and nothing is signed unasked",
                hint="read what is shown above; then say --yes",
            )
        if not typer.confirm("Is this what you agreed on? Sign it", err=True):
            raise typer.Abort

    keys = signer.key or []
    opened = sign_request(
        file,
        root=_root(signer.root, keys),
        holders=holders,
        signers=_opening(signer),
        confirm=confirm,
        now=datetime.now(UTC),
        again=again,
    )
    emit(_shown(file, opened), json=json, human=_print_standing)


def verify_new(file: Path) -> None:
    """Raise `Unavailable` where a request would take the place of one with signatures."""
    if file.exists():
        raise Unavailable(f"{file} exists", hint="choose another name: it may hold signatures")


def merge_files(files: Sequence[Path], root: Path, *, holders: bool) -> "Opened":
    """The request of all `files`, with all their signatures. Raises `Rejected`."""
    from limpet.release.ceremony import load_request, merge_requests, open_request

    now = datetime.now(UTC)
    requests = [load_request(file) for file in files]
    for one in requests:  # one by one: a bad one is named
        open_request(one, root=root, holders=holders, now=now)
    return open_request(merge_requests(requests), root=root, holders=holders, now=now)


def _opening(signer: Signer) -> "Callable[[Suite], list[KeySigner]]":
    from limpet.release import open_signer

    passphrase = secret_from(signer.passphrase_env, what="passphrase", option="--passphrase-env")
    pin = secret_from(signer.pin_env, what="PIN", option="--pin-env")

    def opening(suite: "Suite") -> "list[KeySigner]":
        return [
            open_signer(str(key), passphrase=passphrase, pin=pin, suite=suite)
            for key in signer.key or []
        ]

    return opening


def _root(given: Path | None, keys: Sequence[Path]) -> Path:
    """The signer's root of trust: beside the first key that is a file, if it is not named."""
    beside = [key.parent / "root.json" for key in keys if not is_token_uri(str(key))]
    if given is None and not beside:
        raise typer.BadParameter("name your root of trust", param_hint="--root")
    root = given or beside[0]
    if not root.is_file():
        raise Unavailable(
            f"{root} is not there: your root of trust, which no request can bring",
            hint="get root.json from the vendor once, and compare its digest",
        )
    return root


def _shown(file: Path, opened: "Opened") -> RequestShown:
    review = opened.review
    return RequestShown(
        file=str(file),
        title=review.title,
        digest=opened.request.digest,
        lines=review.lines,
        warnings=review.warnings,
        standing=tuple(
            StandingShown(
                role=one.role,
                by=one.by,
                signatures=one.signatures,
                threshold=one.threshold,
                missing=one.missing,
                needed=one.is_needed,
                keys=one.keys,
            )
            for one in opened.standing
        ),
        complete=opened.is_complete,
    )


def _print_request(shown: RequestShown, say: Callable[[str], object] = print) -> None:
    say(_clean(shown.title))
    for label, text in shown.lines:
        say(f"  {_clean(label):<20} {_clean(text)}")
    for text in shown.warnings:
        say(f"  attention            {_clean(text)}")
    say(f"  request              sha256 {shown.digest}")
    _say_standing(shown, say)


def _print_standing(shown: RequestShown) -> None:
    print(shown.file)
    _say_standing(shown, print)
    if not shown.complete:
        print("  not valid yet: the next signer runs the same command on this file")


def _say_standing(shown: RequestShown, say: Callable[[str], object]) -> None:
    for one in shown.standing:
        lack = f"; too few of {', '.join(one.missing)}" if one.missing else ""
        kind = "" if one.needed else "  (not needed; without a gap for devices if met)"
        counted = f"{one.signatures} of at least {one.threshold}"
        say(f"  signed               {one.role} by {one.by}: {counted}{lack}{kind}")


def _clean(text: str) -> str:
    """No line of a request can pose as one of ours, or drive the terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
