"""`limpet owner token`: tokens for programs that use a device.

Owns parsing and printing. A new token is shown once, because that is what the
command is for; everything else never shows one.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from limpet.cli._frame import emit, make_app, print_table, show_examples
from limpet.cli._owner_parts import (
    ACCESS_NAMES,
    JsonOption,
    on_device,
    when,
)
from limpet.errors import Rejected
from limpet.owner.answers import TokenAnswer
from limpet.owner.client import DeviceClient
from limpet.storage import write_atomic

__all__ = ["app"]

DAY_SECONDS = 86400

app = make_app(
    "Tokens for programs that use a device.",
    examples=["limpet owner token create --label heating-plan --access member --days 90"],
)


class _NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token just made; empty where it went into a file."""

    token: str
    label: str
    access: str
    expires_at: datetime | None


@app.command("list", epilog=show_examples("limpet owner token list"))
@on_device
def list_tokens(
    client: DeviceClient,
    json: JsonOption = False,
) -> None:
    """Your tokens, without their secrets."""
    tokens = client.tokens()
    emit(tokens, json=json, human=_print_tokens)


@app.command(epilog=show_examples("limpet owner token create --label phone --access viewer"))
@on_device
def create(
    client: DeviceClient,
    label: Annotated[str, typer.Option("--label", help="What it is for.")],
    access: Annotated[
        str, typer.Option("--access", help=f"One of {', '.join(ACCESS_NAMES)}.")
    ] = "viewer",
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How long it lives.")] = 90,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there (mode 0600).")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a token of at most your own access; it is shown this once."""
    if access not in ACCESS_NAMES:
        raise Rejected(
            "bad-access", f"no access level {access}", hint=f"one of {', '.join(ACCESS_NAMES)}"
        )
    body = {"label": label, "access": access, "lifetime_seconds": days * DAY_SECONDS}
    made = client.create_token(body)
    if out is not None:
        write_atomic(out, made.token.encode() + b"\n", mode=0o600)
    shown = _NewToken(
        token="" if out else made.token, label=label, access=access, expires_at=made.expires_at
    )
    emit(shown, json=json, human=lambda new: print(f"written to {out}" if out else new.token))


@app.command(epilog=show_examples("limpet owner token revoke 3f9c"))
@on_device
def revoke(
    client: DeviceClient,
    token_id: Annotated[str, typer.Argument(help="As `limpet owner token list` shows it.")],
) -> None:
    """End a token at once."""
    client.revoke_token(token_id)
    print(f"{token_id} is revoked")


def _print_tokens(tokens: list[TokenAnswer]) -> None:
    rows = [(t.token_id, t.label, t.access, when(t.expires_at)) for t in tokens]
    print_table(("id", "label", "access", "until"), rows)
