"""`limpet vendor model`: several models under one vendor's root.

Owns arguments and printing.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from limpet.cli._drawer import OFFLINE, PASSPHRASE_ENV, read_passphrase
from limpet.cli._frame import emit, make_app, print_table, progress, show_examples
from limpet.cli._release_ceremony import show_file, verify_new
from limpet.errors import Misuse, Rejected

if TYPE_CHECKING:
    from limpet.vendor.home import Home

__all__ = ["app"]

app = make_app(
    "The models of a vendor, and another one.",
    examples=["limpet vendor model add vendor --product examples/doorbell"],
)

_directory = typer.Argument(..., metavar="DIR", help="The vendor's directory.")
_json_option = typer.Option(False, "--json", help="Print JSON.")
_holder = typer.Option(
    [], "--holder", metavar="FILE", help="May sign its releases; default: who signs the first's."
)
_threshold = typer.Option(None, "--threshold", min=1, max=64, help="So many of the holders' keys.")


class _Model(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list."""

    model: str
    releases: int
    releases_until: datetime  # when the offline role expires, UTC
    rollout_until: datetime


class _Added(msgspec.Struct, frozen=True, kw_only=True):
    """What `add` prints as JSON."""

    model: str
    models: tuple[str, ...]  # all of the vendor's, this one included


@app.command(
    epilog=show_examples(
        "limpet vendor model add vendor --product examples/doorbell --offline /media/drawer",
        "limpet vendor model add vendor --product examples/doorbell --request doorbell.request",
        "limpet vendor model add vendor --product examples/doorbell --signed all.request",
    )
)
def add(
    directory: Path = _directory,
    product: Path = typer.Option(..., "--product", help="The product's directory or design file."),
    offline: Path | None = OFFLINE,
    passphrase_env: str = PASSPHRASE_ENV,
    request: Path | None = typer.Option(
        None, "--request", help="Make a request instead, for the people who hold targets."
    ),
    holder: list[Path] = _holder,
    threshold: int | None = _threshold,
    signed: Path | None = typer.Option(None, "--signed", help="The request, as people signed it."),
    json: bool = _json_option,
) -> None:
    """Make a model's keys and let targets delegate to them: with the drawer open, or by a request
    that several people sign (`limpet vendor root sign`, `merge`)."""
    from limpet.release.ceremony import load_request
    from limpet.vendor.home import open_home
    from limpet.vendor.repository.models import add_model, add_signed_model

    home, now = open_home(directory), datetime.now(UTC)
    if request is not None:
        if signed is not None:
            raise Misuse("--request makes what --signed takes: give one of them")
        _ask(home, product, request, holder, threshold, json=json)
        return
    if signed is not None:
        with progress("publishing"):
            added = add_signed_model(home, product, load_request(signed).proposed, now=now)
    else:
        with progress("making keys, signing the next targets"):
            added = add_model(
                home,
                product,
                offline=offline or home.offline,
                now=now,
                passphrase=read_passphrase(passphrase_env),
            )
    emit(
        _Added(model=added.model, models=added.settings.models),
        json=json,
        human=lambda done: print(
            f"{done.model} is a model of this vendor; restart the service now"
        ),
    )


def _ask(
    home: "Home",
    product: Path,
    out: Path,
    holders: list[Path],
    threshold: int | None,
    *,
    json: bool,
) -> None:
    from limpet.release import load_public_key
    from limpet.release.ceremony import request_model, save_request
    from limpet.vendor.repository.models import draft_model

    verify_new(out)
    now, keys = datetime.now(UTC), [load_public_key(file) for file in holders]
    proposed = draft_model(home, product, keys, threshold=threshold, now=now)
    save_request(request_model(proposed, home.repository, now=now), out)
    try:
        show_file(out, home.trust / "root.json", holders=True, json=json)
    except Rejected:
        out.unlink(missing_ok=True)
        raise


@app.command(name="list", epilog=show_examples("limpet vendor model list vendor --json"))
def list_models(directory: Path = _directory, json: bool = _json_option) -> None:
    """What the repository says of each model."""
    from limpet.vendor.home import open_home
    from limpet.vendor.repository import Repository

    home = open_home(directory)
    found = []
    for model in home.settings.models:
        repository = Repository(home.of(model), lambda: datetime.now(UTC))
        state = repository.state()
        found.append(
            _Model(
                model=model,
                releases=len(repository.releases()),
                releases_until=state.role(f"releases/{model}").expires,
                rollout_until=state.role(f"rollout/{model}").expires,
            )
        )

    def human(models: object) -> None:
        rows = [
            (
                one.model,
                str(one.releases),
                f"{one.releases_until:%Y-%m-%d}",
                f"{one.rollout_until:%Y-%m-%d}",
            )
            for one in found
        ]
        print_table(("model", "releases", "releases until", "rollout until"), rows)

    emit(found, json=json, human=human)
