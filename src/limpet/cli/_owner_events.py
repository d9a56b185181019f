"""`limpet owner events`: the device's security log, shown, exported, verified.

Owns parsing and printing; `limpet.owner.security_log` verifies.
"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from limpet.cli._frame import emit, make_app, show_examples
from limpet.cli._owner_parts import (
    DeviceOption,
    JsonOption,
    StoreOption,
    UrlOption,
    choose,
    open_client,
    open_store,
    print_value,
)
from limpet.errors import Rejected
from limpet.owner.answers import parse_answer
from limpet.owner.security_log import Anchor, VerifiedLog, fetch_log, parse_export, verify_log
from limpet.owner.store import Store
from limpet.storage import read_bounded, write_atomic

__all__ = ["app"]

EXPORT_BYTES = 8 << 20

app = make_app("The device's security log.")


class _Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of an exported log."""

    file: str
    lines: int
    newest: int
    sha256: str
    complete: bool
    anchored: bool


@app.command(
    epilog=show_examples(
        "limpet owner events --limit 20",
        "limpet owner events --export log.jsonl",
        "limpet owner events --verify log.jsonl",
    )
)
def events(
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many.")] = 100,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="All that is kept, as JSON lines."),
    ] = None,
    verify: Annotated[
        Path | None, typer.Option("--verify", metavar="FILE", help="Check an export; no device.")
    ] = None,
    device: DeviceOption = None,
    url: UrlOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """The device's security log, newest last.

    An export is verified, and its newest entry remembered here: the next export, and every
    --verify on this computer, must agree with it.
    """
    if export is not None and verify is not None:
        raise Rejected("two-wishes", "say --export or --verify, not both")
    opened = open_store(store)
    if verify is not None:
        lines = parse_export(read_bounded(verify, max_bytes=EXPORT_BYTES))
        found = verify_log(lines, anchor=_anchor(opened, device))
        emit(_verified(verify, found), json=json, human=_print)
    elif export is not None:
        record = choose(opened, device, url)
        with open_client(store, record.serial, None) as client:
            found = fetch_log(client, anchor=Anchor(record.log_number, record.log_hash))
        write_atomic(export, "".join(f"{line}\n" for line in found.lines).encode())
        opened.save(
            msgspec.structs.replace(
                record, log_number=found.newest.number, log_hash=found.newest.digest
            )
        )
        emit(_verified(export, found), json=json, human=_print)
    else:
        with open_client(store, device, url) as client:
            newest = [parse_answer(line.encode(), object) for line in client.events(limit)]
        emit(newest, json=json, human=print_value)


def _anchor(store: Store, device: str | None) -> Anchor:
    """What this computer has seen of the device that is meant; nothing, if none is known."""
    if device is None and len(store.serials()) != 1:
        return Anchor()
    record = store.choose(device)
    return Anchor(record.log_number, record.log_hash)


def _verified(file: Path, found: VerifiedLog) -> _Verified:
    return _Verified(
        file=str(file),
        lines=len(found.lines),
        newest=found.newest.number,
        sha256=found.newest.digest,
        complete=found.complete,
        anchored=found.anchored,
    )


def _print(found: _Verified) -> None:
    begins = "from its beginning" if found.complete else "without the oldest, which are dropped"
    print(f"{found.file}: {found.lines} entries, {begins}; none is changed, missing or added")
    print(f"newest: {found.newest}, SHA-256 {found.sha256}")
    known = "agrees with what was seen here before" if found.anchored else "nothing to compare with"
    print(known)
