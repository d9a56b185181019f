"""`limpet owner update`: see and decide when a device updates.

Owns parsing and printing.
"""

from typing import Annotated

import typer

from limpet.cli._frame import emit, make_app, progress, show_examples
from limpet.cli._owner_parts import (
    JsonOption,
    PasswordStdinOption,
    on_device,
    policy_text,
    print_value,
    read_passwords,
    when,
)
from limpet.errors import Rejected
from limpet.owner import flows, network
from limpet.owner.answers import FetchingAnswer, UpdateAnswer
from limpet.owner.client import DeviceClient

__all__ = ["app"]

MAX_INTERVAL_SECONDS = 4 * 86400

app = make_app(
    "See and decide when a device updates.",
    examples=["limpet owner update policy --window 02:00-05:00 --zone Europe/Berlin"],
)


@app.command(epilog=show_examples("limpet owner update show"))
@on_device
def show(
    client: DeviceClient,
    json: JsonOption = False,
) -> None:
    """Where updates stand, and why a release is held."""
    emit(client.update(), json=json, human=_print_update)


@app.command(
    epilog=show_examples(
        "limpet owner update policy --window 02:00-05:00 --days sat,sun --zone Europe/Berlin",
        "limpet owner update policy --manual",
    )
)
@on_device
def policy(
    client: DeviceClient,
    automatic: Annotated[
        bool | None, typer.Option("--automatic/--manual", help="Install without asking?")
    ] = None,
    ask: Annotated[
        bool | None, typer.Option("--ask/--no-ask", help="Ask before each release?")
    ] = None,
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="HH:MM-HH:MM", help="When; `always`: every day too."),
    ] = None,
    days: Annotated[
        str | None, typer.Option("--days", metavar="mon,tue", help="On which days, or `all`.")
    ] = None,
    zone: Annotated[str | None, typer.Option("--zone", help="The window's time zone.")] = None,
    interval: Annotated[
        int | None,
        typer.Option(
            "--interval",
            min=0,
            max=MAX_INTERVAL_SECONDS,
            help="Seconds between checks; 0: as the maker set it.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Change what is given and keep the rest; show the policy."""
    parsed_window = flows.parse_clock_range(window) if window is not None else None
    if window == "always" and days is None:
        days = "all"  # days that were chosen with another window would make it seldom
    parsed_days = flows.parse_days(days) if days is not None else None
    wanted = flows.merge_policy(
        client.update().policy,
        automatic=automatic,
        ask=ask,
        window=parsed_window,
        days=parsed_days,
        zone=zone,
        interval_seconds=interval,
    )
    client.set_policy(wanted)
    emit(client.update(), json=json, human=lambda update: print(policy_text(update)))


@app.command(
    "network",
    epilog=show_examples("limpet owner update network --limit 256K --proxy proxy.home.arpa:3128"),
)
@on_device
def choose_network(
    client: DeviceClient,
    metered: Annotated[
        bool | None,
        typer.Option("--metered/--unmetered", help="Does it cost by the byte? Images then wait."),
    ] = None,
    limit: Annotated[
        str | None, typer.Option("--limit", metavar="RATE", help="Bytes a second: 256K, 2M, none.")
    ] = None,
    proxy: Annotated[
        str | None, typer.Option("--proxy", metavar="HOST:PORT", help="An HTTP proxy, or `none`.")
    ] = None,
    proxy_user: Annotated[
        str, typer.Option("--proxy-user", help="Who asks it; its password is then asked for.")
    ] = "",
    password_stdin: PasswordStdinOption = False,
    json: JsonOption = False,
) -> None:
    """Say what the network costs, how fast updates may come, and by which proxy; show it."""
    if proxy_user and proxy in (None, "none"):
        raise Rejected("bad-proxy", "a user name of no proxy", hint="give --proxy HOST:PORT too")
    password = None
    if proxy_user:
        (password,) = read_passwords("Password for the proxy", stdin=password_stdin)
    wanted = network.merge_network(
        client.update().policy,
        metered=metered,
        limit=network.parse_limit(limit) if limit is not None else None,
        proxy=network.parse_proxy(proxy, user=proxy_user, password=password)
        if proxy is not None and proxy != "none"
        else None,
        no_proxy=proxy == "none",
    )
    client.set_policy(wanted)
    update = client.update()
    emit(update, json=json, human=lambda found: print(network.describe_network(found.policy)))


@app.command(epilog=show_examples("limpet owner update check"))
@on_device
def check(
    client: DeviceClient,
    json: JsonOption = False,
) -> None:
    """Look for an update now."""
    with progress("waiting for the device"):
        update = flows.update_after(client, "/v1/update/check")
    emit(update, json=json, human=_print_update)


@app.command(epilog=show_examples("limpet owner update install"))
@on_device
def install(
    client: DeviceClient,
    json: JsonOption = False,
) -> None:
    """Install the release that is held, now, whatever the window says."""
    with progress("waiting for the device"):
        update = flows.update_after(client, "/v1/update/install")
    emit(update, json=json, human=_print_update)


@app.command(epilog=show_examples("limpet owner update postpone 7"))
@on_device
def postpone(
    client: DeviceClient,
    days: Annotated[int, typer.Argument(min=0, max=365, help="Days from now; 0 ends it.")],
    json: JsonOption = False,
) -> None:
    """Install nothing for some days, as far as the product lets you hold updates back."""
    client.request("POST", "/v1/update/postpone", {"days": days})
    emit(client.update(), json=json, human=_print_update)


def _fetched(fetching: FetchingAnswer) -> str:
    """As "delta, 1.2 MB of 2.1 MB (57 %)"."""
    done, size = (f"{count / 1e6:.1f} MB" for count in (fetching.done, fetching.size))
    return f"{fetching.way}, {done} of {size} ({100 * fetching.done / max(fetching.size, 1):.0f} %)"


def _print_update(update: UpdateAnswer) -> None:
    support = "over" if update.support_over else f"until {when(update.support_until)}"
    held = update.held
    print_value(
        {
            "running": update.running,
            "available": update.available or "-",
            "state": update.state,
            "because": (held.text if held else update.reason) or "-",
            **({"fetched": _fetched(update.fetching)} if update.fetching else {}),
            **({"held since": when(held.since)} if held else {}),
            **({"held until": when(held.until)} if held and held.until else {}),
            **({"postponed until": when(update.postponed_until)} if update.postponed_until else {}),
            **({"you can hold it until": when(update.hold_until)} if update.hold_until else {}),
            "policy": policy_text(update),
            "network": network.describe_network(update.policy),
            "last check": when(update.last_check),
            "next check": when(update.next_check),
            "support": update.support_notice or support,
        }
    )
