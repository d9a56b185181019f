"""`limpet vendor model`: several models under one vendor's root.

Owns arguments and printing.
"""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import typer

from limpet.cli._drawer import OFFLINE, PASSPHRASE_ENV, read_passphrase
from limpet.cli._frame import emit, make_app, print_table, progress, show_examples

__all__ = ["app"]

app = make_app(
    "The models of a vendor, and another one.",
    examples=["limpet vendor model add vendor --product examples/doorbell"],
)

_directory = typer.Argument(..., metavar="DIR", help="The vendor's directory.")
_json_option = typer.Option(False, "--json", help="Print JSON.")


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
        "limpet vendor model add vendor --product examples/doorbell --offline /media/drawer"
    )
)
def add(
    directory: Path = _directory,
    product: Path = typer.Option(..., "--product", help="The product's directory or design file."),
    offline: Path | None = OFFLINE,
    passphrase_env: str = PASSPHRASE_ENV,
    json: bool = _json_option,
) -> None:
    """With the drawer open: make a model's keys and let targets delegate to them."""
    from limpet.vendor.home import open_home
    from limpet.vendor.repository.models import add_model

    home = open_home(directory)
    with progress("making keys, signing the next targets"):
        added = add_model(
            home,
            product,
            offline=offline or home.offline,
            now=datetime.now(UTC),
            passphrase=read_passphrase(passphrase_env),
        )
    emit(
        _Added(model=added.model, models=added.settings.models),
        json=json,
        human=lambda done: print(
            f"{done.model} is a model of this vendor; restart the service now"
        ),
    )


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
