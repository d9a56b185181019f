"""`limpet owner people`: who may use a device besides its owner.

Owns parsing and printing. An invitation's code is shown once, because that is what the
command is for.
"""

from typing import Annotated

import typer

from limpet.cli._frame import emit, make_app, print_table, show_examples
from limpet.cli._owner_parts import (
    JsonOption,
    PasswordStdinOption,
    StoreOption,
    on_device,
    when,
)
from limpet.cli._owner_transfer import RootOption, UrlArgument, enter_by_code
from limpet.errors import Rejected
from limpet.owner.answers import InvitationAnswer, PeopleAnswer
from limpet.owner.client import DeviceClient

__all__ = ["app"]

GRANTED = ("viewer", "member")

app = make_app(
    "Who may use a device besides its owner.",
    examples=["limpet owner people invite --access member", "limpet owner people list"],
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="As `limpet owner people list` shows.")]
_Granted = Annotated[str, typer.Argument(metavar="ACCESS", help="viewer: read; member: use.")]


@app.command("list", epilog=show_examples("limpet owner people list"))
@on_device
def list_people(client: DeviceClient, json: JsonOption = False) -> None:
    """Who has an account, and who is invited."""
    emit(client.ask("GET", "/v1/people", PeopleAnswer), json=json, human=_print)


@app.command(epilog=show_examples("limpet owner people invite --access member"))
@on_device
def invite(
    client: DeviceClient,
    access: Annotated[str, typer.Option("--access", help="viewer: read; member: use.")] = "viewer",
    json: JsonOption = False,
) -> None:
    """Make a code with which one person gets an account; it is shown this once."""
    body = {"access": _granted(access)}
    made = client.ask("POST", "/v1/people/invitations", InvitationAnswer, body)

    def show(_: object) -> None:
        print(f"give this code to the new {made.access}; it counts once, until")
        print(f"{when(made.expires_at)} (limpet owner people join, or the device's page):")
        print(made.code)

    emit(made, json=json, human=show)


@app.command(epilog=show_examples("limpet owner people withdraw 3f9c01d2a4b5c6d7"))
@on_device
def withdraw(
    client: DeviceClient,
    invitation: Annotated[str, typer.Argument(help="As `limpet owner people list` shows it.")],
) -> None:
    """Withdraw an invitation."""
    client.withdraw_invitation(invitation)
    print(f"invitation {invitation} is withdrawn")


@app.command(epilog=show_examples("limpet owner people access ada viewer"))
@on_device
def access(client: DeviceClient, name: _Name, access: _Granted) -> None:
    """Change what a person may do, at once."""
    body = {"name": name, "access": _granted(access)}
    client.request("PUT", "/v1/people/access", body)
    print(f"{name} is a {access} now")


@app.command(epilog=show_examples("limpet owner people remove ada"))
@on_device
def remove(client: DeviceClient, name: _Name) -> None:
    """End a person's account, sessions and tokens, at once."""
    client.request("POST", "/v1/people/remove", {"name": name})
    print(f"{name} has no access any more")


@app.command(
    epilog=show_examples(
        "limpet owner people join https://192.0.2.7 --serial TH-00C0FFEE --code XXXX-… --name ada"
        " --root maker-root.pem"
    )
)
def join(
    url: UrlArgument,
    serial: Annotated[str, typer.Option("--serial", help="The device's serial number.")],
    code: Annotated[str, typer.Option("--code", help="The invitation's code.")],
    name: Annotated[str, typer.Option("--name", help="Your name on this device.")],
    root: RootOption = None,
    password_stdin: PasswordStdinOption = False,
    store: StoreOption = None,
) -> None:
    """Get an account by an invitation, with a password of your own."""
    record = enter_by_code(
        "/v1/join",
        url=url,
        serial=serial,
        code=code,
        root=root,
        name=name,
        password_stdin=password_stdin,
        store=store,
    )
    print(f"you are {record.name} on {record.serial}")


def _granted(access: str) -> str:
    if access not in GRANTED:
        raise Rejected("bad-access", f"no access {access} for a person", hint="viewer or member")
    return access


def _print(found: PeopleAnswer) -> None:
    rows = [
        (one.name, one.access, "on" if one.second_factor else "off", "") for one in found.people
    ]
    rows += [
        ("(invited)", one.access, "", f"{one.invitation_id}, until {when(one.expires_at)}")
        for one in found.invitations
    ]
    print_table(("name", "access", "second factor", "invitation"), rows)
