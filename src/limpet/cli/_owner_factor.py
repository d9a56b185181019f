"""`limpet owner second-factor`: one-time codes from an authenticator app.

Owns parsing and printing. The secret is drawn as a QR code in the terminal, or into a
file that only its owner reads.
"""

import io
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import segno
import typer

from limpet.cli._frame import emit, make_app, show_examples
from limpet.cli._owner_parts import (
    JsonOption,
    PasswordStdinOption,
    ask_second,
    on_device,
    print_value,
    read_passwords,
)
from limpet.errors import Rejected
from limpet.owner import flows
from limpet.owner.answers import AccountAnswer, RecoveryAnswer, SecretAnswer
from limpet.owner.client import DeviceClient
from limpet.storage import write_atomic

__all__ = ["app"]

app = make_app(
    "One-time codes as a second factor of your account.",
    examples=["limpet owner second-factor enable", "limpet owner second-factor show"],
)


@app.command(epilog=show_examples("limpet owner second-factor show"))
@on_device
def show(client: DeviceClient, json: JsonOption = False) -> None:
    """Your account, and whether it asks for one-time codes."""
    found = client.ask("GET", "/v1/account", AccountAnswer)
    emit(found, json=json, human=lambda account: print_value(msgspec.to_builtins(account)))


@app.command(epilog=show_examples("limpet owner second-factor enable --qr secret.svg"))
@on_device
def enable(
    client: DeviceClient,
    qr: Annotated[
        Path | None,
        typer.Option("--qr", metavar="FILE", help="Draw the QR code there (.svg or .png, 0600)."),
    ] = None,
    password_stdin: PasswordStdinOption = False,
) -> None:
    """Ask for one-time codes from now on; shows the secret, then takes the app's first code.

    Without a terminal, the lines of standard input are: the password, a one-time code if there
    is a second factor already, and the first code of the new secret.
    """
    (password,) = read_passwords("Your password", stdin=password_stdin)
    made = flows.with_second(
        lambda code: client.ask(
            "POST", "/v1/second-factor", SecretAnswer, flows.proof(password, code)
        ),
        ask_second(stdin=password_stdin),
    )
    if qr is not None:
        write_atomic(qr, _picture(made.uri, qr.suffix), mode=0o600)
        print(f"scan {qr} with your authenticator app, then delete it; or type the secret:")
    else:
        segno.make(made.uri, micro=False).terminal(out=sys.stdout, compact=True)
        print("scan it with your authenticator app, or type the secret:")
    print(made.secret, flush=True)
    (first,) = read_passwords("The code that the app shows now", stdin=password_stdin)
    kept = client.ask("POST", "/v1/second-factor/confirm", RecoveryAnswer, {"code": first})
    print("one-time codes are asked for from now on. If you lose the phone, each of these")
    print("lets you in once; keep them where nobody else looks:")
    print("\n".join(kept.recovery_codes))


@app.command(epilog=show_examples("limpet owner second-factor disable"))
@on_device
def disable(client: DeviceClient, password_stdin: PasswordStdinOption = False) -> None:
    """Ask for no one-time codes any more: needs your password and such a code."""
    (password,) = read_passwords("Your password", stdin=password_stdin)
    flows.with_second(
        lambda code: client.request(
            "POST", "/v1/second-factor/disable", flows.proof(password, code)
        ),
        ask_second(stdin=password_stdin),
    )
    print("no one-time codes are asked for any more")


def _picture(uri: str, suffix: str) -> bytes:
    if suffix not in (".svg", ".png"):
        raise Rejected("bad-file", f"no picture of the kind {suffix!r}", hint="write .svg or .png")
    buffer = io.BytesIO()
    segno.make(uri, micro=False).save(buffer, kind=suffix[1:], scale=6)
    return buffer.getvalue()
