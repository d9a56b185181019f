"""`limpet vendor root`: who may sign, changed by people who never meet on one machine.

Owns options and printing. What may change is decided in `limpet.release.ceremony`, and again by the
repository.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import typer

from limpet.cli._frame import emit, make_app, progress, show_examples
from limpet.cli._release_ceremony import merge_files, show_file, sign_file, verify_new
from limpet.cli._release_signing import Signer, takes_signer
from limpet.errors import Rejected

__all__ = ["app"]

app = make_app(
    "Who may sign: root, targets and releases, and their keys.",
    examples=[
        "limpet vendor root status vendor",
        "limpet vendor root propose vendor --add root=anew.pub.pem --out anew.request",
    ],
)

_directory = typer.Argument(..., metavar="DIR", help="The vendor's directory.")
_file = typer.Argument(..., metavar="FILE", help="The request.")
_json = typer.Option(False, "--json", help="Print JSON.")
_add = typer.Option([], "--add", metavar="ROLE=FILE", help="Let this public key sign for ROLE.")
_remove = typer.Option([], "--remove", metavar="ROLE=ID", help="Let it no more: its id's start.")
_retire = typer.Option([], "--retire", metavar="SCHEME", help="No key of it, in any role.")
_threshold = typer.Option([], "--threshold", metavar="ROLE=N", help="So many signatures at least.")


@app.command(
    epilog=show_examples(
        "limpet vendor root propose vendor --add all=second.pub.pem --threshold all=3"
        " --out second.request",
        "limpet vendor root propose vendor --remove root=3f2a81c0 --add root=new.pub.pem"
        " --out lost.request",
        "limpet vendor root propose vendor --renew --out yearly.request",
    )
)
def propose(
    directory: Path = _directory,
    out: Path = typer.Option(..., "--out", help="The request that is made."),
    add: list[str] = _add,
    remove: list[str] = _remove,
    retire: list[str] = _retire,
    threshold: list[str] = _threshold,
    renew: bool = typer.Option(False, "--renew", help="Sign all for as long as it may last."),
    json: bool = _json,
) -> None:
    """Make a request for other holders, thresholds or days. ROLE: root, targets, releases/MODEL,
    or all. Holds no key: people sign it elsewhere."""
    from limpet.release import load_public_key
    from limpet.release.ceremony import Holders, propose_holders, save_request
    from limpet.vendor.home import open_home
    from limpet.vendor.repository import Repository

    verify_new(out)
    home, now = open_home(directory), datetime.now(UTC)
    holders = Holders(
        add=[(role, load_public_key(Path(file))) for role, file in map(_pair, add)],
        remove=[_pair(text) for text in remove],
        retire=retire,
        threshold=[(role, _number(count)) for role, count in map(_pair, threshold)],
        renew=renew,
    )
    state = Repository(home, lambda: now).state()
    roles = {name: one.signed for name, one in state.delegated.items()}
    releases = {name: one for name, one in roles.items() if name.startswith("releases/")}
    published = (state.root, state.targets, releases)
    request = propose_holders(holders, home.repository, published, now=now)
    save_request(request, out)
    try:
        show_file(out, home.trust / "root.json", holders=True, json=json)
    except Rejected:
        out.unlink(missing_ok=True)
        raise


@app.command(epilog=show_examples("limpet vendor root show lost.request --root root.json"))
def show(
    file: Path = _file,
    root: Path = typer.Option(..., "--root", help="Your root of trust."),
    json: bool = _json,
) -> None:
    """What a request would change, in words, and who has signed it."""
    show_file(file, root, holders=True, json=json)


@app.command(epilog=show_examples("limpet vendor root sign lost.request --key mine.pem"))
@takes_signer
def sign(
    file: Path = _file,
    yes: bool = typer.Option(False, "--yes", help="Sign it without being asked."),
    again: bool = typer.Option(False, "--again", help="Though its version was signed otherwise."),
    *,
    signer: Signer,
    json: bool = _json,
) -> None:
    """Show a request, ask, sign it with one's own keys, and write it back."""
    sign_file(file, signer, holders=True, yes=yes, again=again, json=json)


@app.command(
    epilog=show_examples(
        "limpet vendor root merge first.request second.request --root vendor/trust/root.json"
        " --out both.request"
    )
)
def merge(
    files: list[Path] = typer.Argument(..., metavar="FILE…", help="As signers gave them back."),
    root: Path = typer.Option(..., "--root", help="The root of trust."),
    out: Path = typer.Option(..., "--out", help="The request with all signatures."),
    json: bool = _json,
) -> None:
    """Put the signatures of several people together, in any order."""
    from limpet.release.ceremony import save_request

    save_request(merge_files(files, root, holders=True).request, out)
    show_file(out, root, holders=True, json=json)


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """What was published, as `--json` gives it."""

    title: str
    seamless: bool
    restart: bool  # whether the service has to be started anew


@app.command(epilog=show_examples("limpet vendor root publish vendor both.request"))
def publish(directory: Path = _directory, file: Path = _file, json: bool = _json) -> None:
    """Verify what people have signed, and publish it; the next firmware carries the root."""
    from limpet.release.ceremony import load_request, parse_root_version
    from limpet.vendor.home import open_home
    from limpet.vendor.repository.holders import publish_holders
    from limpet.vendor.repository.rekeying import publish_online_keys

    home, request, now = open_home(directory), load_request(file), datetime.now(UTC)
    title, online = f"root {parse_root_version(request)}", request.kind == "online"
    with progress("publishing"):
        if online:
            publish_online_keys(home, request.proposed, now=now)
        seamless = not online and publish_holders(home, request.proposed, now=now)
    shown = Publication(title=title, seamless=seamless, restart=online)
    emit(shown, json=json, human=_print_publication)


def _print_publication(shown: Publication) -> None:
    print(f"{shown.title} is published; give trust/root.json to every signer")
    if not shown.seamless:
        print("a device that asked in between has kept its firmware, and asks again")
    if shown.restart:
        print("all that is online has other keys: restart the service now")


class RoleShown(msgspec.Struct, frozen=True, kw_only=True):
    """An offline role, as `--json` gives it."""

    role: str
    version: int
    threshold: int
    keys: tuple[tuple[str, str], ...]  # scheme and id
    expires: datetime  # UTC
    due: bool


@app.command(
    epilog=show_examples(
        "limpet vendor root status vendor", "limpet vendor root status vendor --within 90 --json"
    )
)
def status(
    directory: Path = _directory,
    within: int = typer.Option(60, min=0, max=730, help="Days that count as soon."),
    json: bool = _json,
) -> None:
    """Who may sign for each offline role, and until when; exit status 1 if one ends soon."""
    from tuf.api.metadata import Root, Targets

    from limpet.vendor.home import open_home
    from limpet.vendor.repository import Repository

    now = datetime.now(UTC)
    state = Repository(open_home(directory), lambda: now).state()
    offline = [name for name in state.delegated if name.startswith("releases/")]
    rows: list[tuple[str, Root | Targets, Root | Targets]]
    rows = [("root", state.root, state.root), ("targets", state.root, state.targets)]
    rows += [(name, state.targets, state.role(name)) for name in offline]
    found = []
    for name, delegator, signed in rows:
        role = delegator.get_delegated_role(name)
        keys = tuple((delegator.get_key(keyid).scheme, keyid) for keyid in role.keyids)
        found.append(
            RoleShown(
                role=name,
                version=signed.version,
                threshold=role.threshold,
                keys=keys,
                expires=signed.expires,
                due=signed.expires - now < timedelta(days=within),
            )
        )
    emit(found, json=json, human=_print_roles)
    if any(one.due for one in found):
        raise typer.Exit(1)


def _print_roles(roles: list[RoleShown]) -> None:
    from limpet.release import fingerprint

    for one in roles:
        soon = "  SOON: limpet vendor root propose DIR --renew" if one.due else ""
        print(f"{one.role}: version {one.version}, until {one.expires:%Y-%m-%d}{soon}")
        print(f"  {one.threshold} of {len(one.keys)} keys:")
        for scheme, keyid in one.keys:
            print(f"    {scheme:<14} {fingerprint(keyid)}")


def _pair(text: str) -> tuple[str, str]:
    role, found, value = text.partition("=")
    if not (role and found and value):
        raise typer.BadParameter(f"{text!r} is not ROLE=VALUE")
    return role, value


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 64):
        raise typer.BadParameter(f"{text!r} is no threshold: 1 to 64")
    return int(text)
