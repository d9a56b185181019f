"""What the owner does in several steps: claim, log in, log out, choose when to update.

Owns the order of the steps, so that an interruption between any two leaves the
owner with a way on. The command line only parses and prints.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from limpet.crypto.randomness import normalise_code
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.owner.answers import (
    FreshCodeAnswer,
    FunctionAnswer,
    OwnershipAnswer,
    Policy,
    SessionAnswer,
    UpdateAnswer,
    WindowAnswer,
)
from limpet.owner.client import DeviceClient
from limpet.owner.store import DeviceRecord, Store
from limpet.owner.trust import DeviceAddress, VerifiedRoot, parse_device_url, verify_root

__all__ = [
    "Second",
    "claim_device",
    "connect",
    "enter_device",
    "login_device",
    "logout_device",
    "merge_policy",
    "ownership_of",
    "parse_call_arguments",
    "parse_clock_range",
    "parse_days",
    "proof",
    "reset_device",
    "update_after",
    "with_second",
]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 1440
RESTART_SECONDS = 30.0
RESTART_POLL_SECONDS = 0.25
_PASSING = frozenset({"unavailable", "not-ready", "not-served"})
"""The gateway's reasons while a role behind it is being stopped or started."""

T = TypeVar("T")
Second = Callable[[], str]
"""Asks the person for a one-time code."""


def connect(record: DeviceRecord) -> DeviceClient:
    """A client for a known device, with its session if it has one."""
    return DeviceClient(
        parse_device_url(record.url),
        root=verify_root(record.root_pem.encode(), pin=None),
        serial=record.serial,
        token=record.token,
    )


def claim_device(
    store: Store,
    *,
    address: DeviceAddress,
    serial: str,
    code: str,
    root: VerifiedRoot,
    name: str,
    password: str,
) -> DeviceRecord:
    """Claim the device `serial` with the label's `code`, and open a session.

    1. the peer proves that it is the device, before the code is sent;
    2. it has no owner yet;
    3. the device is remembered, so that the owner can log in even if the answer is lost;
    4. the claim; if it is refused, 3. is undone;
    5. the session is kept.
    """
    spelled = normalise_code(code)
    with DeviceClient(address, root=root, serial=serial) as client:
        identity = client.identity()  # 1.
        if identity.claimed:  # 2.
            raise Rejected(
                "already-claimed",
                "this device has an owner already",
                hint="its owner can give you access, or reset it before handing it on",
            )
        record = DeviceRecord(
            serial=serial,
            model=identity.model,
            url=address.url,
            root_pem=root.pem.decode("ascii"),
            name=name,
        )
        store.save(record)  # 3.
        try:
            session = client.claim(code=spelled, name=name, password=password)  # 4.
        except Rejected:
            store.forget(serial)
            raise
    return _keep(store, record, session)  # 5.


def login_device(
    store: Store,
    record: DeviceRecord,
    *,
    name: str,
    password: str,
    second: Second,
    label: str = "",
) -> DeviceRecord:
    """Open a session, as a known client if this machine had one before.

    `second` is asked for a one-time code only if the device wants one.
    """
    known = record.known if name == record.name else ""
    code = normalise_code(label) if label else ""
    with connect(msgspec.structs.replace(record, token="")) as client:
        session = with_second(
            lambda given: client.login(
                name=name, password=password, known=known, second=given, label=code
            ),
            second,
        )
    return _keep(store, msgspec.structs.replace(record, name=name), session)


def logout_device(store: Store, record: DeviceRecord) -> bool:
    """End the session, here in any case; whether the device was told.

    The device cookie stays, so that the owner remains a known client.
    """
    told = False
    try:
        if record.token:
            with connect(record) as client:
                client.request("POST", "/v1/logout")
            told = True
    except LimpetError:
        told = False
    finally:
        store.save(msgspec.structs.replace(record, token="", expires_at=None))
    return told


def update_after(
    client: DeviceClient, path: str, *, sleep: Callable[[float], None] = time.sleep
) -> UpdateAnswer:
    """POST `path` (a check, or consent to an update), then where updates stand.

    Either may end in a restart into new firmware: then this waits until the device answers
    again, for `RESTART_SECONDS` at most. Raises as `DeviceClient.request` does.
    """
    client.update()  # a device that cannot be reached at all is said so at once
    with contextlib.suppress(_Restarting):
        _unless_restarting(lambda: client.request("POST", path))
    for _ in range(round(RESTART_SECONDS / RESTART_POLL_SECONDS)):
        with contextlib.suppress(_Restarting):
            return _unless_restarting(client.update)
        sleep(RESTART_POLL_SECONDS)
    return client.update()


class _Restarting(Exception):
    """The device does not answer just now."""


def _unless_restarting(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except Unavailable as error:
        raise _Restarting from error
    except Rejected as error:
        if error.reason in _PASSING:
            raise _Restarting from error
        raise


def reset_device(
    store: Store, record: DeviceRecord, *, password: str, second: Second
) -> FreshCodeAnswer:
    """Factory reset: the device forgets its people and their data, then we forget the device.

    The answer is the only place where the fresh claim code ever is.
    """
    with connect(record) as client:
        made = with_second(
            lambda code: client.ask("POST", "/v1/reset", FreshCodeAnswer, proof(password, code)),
            second,
        )
    store.forget(record.serial)
    return made


def proof(password: str, second: str) -> dict[str, str]:
    """The body's part that proves the caller again; firmware of before knows no second factor."""
    return {"password": password} | ({"second": second} if second else {})


def ownership_of(client: DeviceClient) -> OwnershipAnswer | None:
    """Whether the device is changing hands; None: its firmware is of before that was possible."""
    try:
        return client.ask("GET", "/v1/ownership", OwnershipAnswer)
    except Rejected as error:
        if error.reason != "not-found":
            raise
        return None


def with_second(act: Callable[[str], T], second: Second) -> T:
    """What `act` gives, tried without a one-time code first, and with one if it is asked for."""
    try:
        return act("")
    except Rejected as error:
        if error.reason != "second-factor-needed":
            raise
    return act(second())


def enter_device(
    store: Store,
    path: str,
    *,
    address: DeviceAddress,
    serial: str,
    code: str,
    root: VerifiedRoot,
    name: str,
    password: str,
) -> DeviceRecord:
    """Become a person of a device that has an owner, by the code that `path` takes.

    As `claim_device`: the peer proves itself first, and the device is remembered before the
    code is sent. What this computer knew of it before comes back if the code is refused.
    """
    spelled = normalise_code(code)
    before = store.load(serial) if serial in store.serials() else None
    with DeviceClient(address, root=root, serial=serial) as client:
        identity = client.identity()
        record = DeviceRecord(
            serial=serial,
            model=identity.model,
            url=address.url,
            root_pem=root.pem.decode("ascii"),
            name=name,
        )
        store.save(record)
        try:
            session = client.enter(path, code=spelled, name=name, password=password)
        except Rejected:
            store.forget(serial) if before is None else store.save(before)
            raise
    return _keep(store, record, session)


def parse_call_arguments(function: FunctionAnswer, pairs: Sequence[str]) -> dict[str, Any]:
    """ "key=value" pairs as the function's arguments.

    A value is JSON, or plain text where the function wants text or JSON cannot read it.
    Raises `Rejected("bad-arguments")`.
    """
    properties = function.arguments.get("properties", {})
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise Rejected("bad-arguments", f"{pair!r} is not key=value")
        if key in arguments:
            raise Rejected("bad-arguments", f"{key} is given twice")
        if properties and key not in properties:
            raise Rejected(
                "bad-arguments",
                f"{function.name} has no argument {key}",
                hint=f"it takes {', '.join(properties)}",
            )
        wants_text = properties.get(key, {}).get("type") == "string"
        arguments[key] = text if wants_text else _json_or_text(text)
    return arguments


def merge_policy(
    policy: Policy,
    *,
    automatic: bool | None = None,
    ask: bool | None = None,
    window: tuple[int, int] | None = None,
    days: tuple[int, ...] | None = None,
    zone: str | None = None,
    interval_seconds: int | None = None,
) -> Policy:
    """`policy` with what was given; an interval of 0 gives the product's own back."""
    old = policy.window
    start, end = window if window is not None else (old.start_minute, old.end_minute)
    interval = policy.interval_seconds if interval_seconds is None else interval_seconds or None
    changed: Policy = msgspec.structs.replace(
        policy,
        automatic=policy.automatic if automatic is None else automatic,
        ask=policy.ask if ask is None else ask,
        window=WindowAnswer(
            days=old.days if days is None else days,
            start_minute=start,
            end_minute=end,
            zone=old.zone if zone is None else zone,
        ),
        interval_seconds=interval,
    )
    return changed


def parse_clock_range(text: str) -> tuple[int, int]:
    """ "22:00-06:00" as minutes of the day; "always" is the whole day. Raises `Rejected`."""
    if text == "always":
        return 0, DAY_MINUTES
    start, dash, end = text.partition("-")
    try:
        if dash:
            return _minute(start, DAY_MINUTES - 1), _minute(end, DAY_MINUTES)
    except ValueError:
        pass
    raise Rejected("bad-window", f"{text!r} is no stretch of the day", hint="write 02:00-05:00")


def parse_days(text: str) -> tuple[int, ...]:
    """ "mon,tue" as numbers (Monday is 0); "all" is every day. Raises `Rejected("bad-window")`."""
    if text == "all":
        return tuple(range(len(DAYS)))
    names = [name.strip().lower() for name in text.split(",")]
    if not all(name in DAYS for name in names):
        raise Rejected("bad-window", f"{text!r} are no days", hint=f"write {','.join(DAYS[:3])}")
    return tuple(sorted({DAYS.index(name) for name in names}))


def _keep(store: Store, record: DeviceRecord, session: SessionAnswer) -> DeviceRecord:
    kept: DeviceRecord = msgspec.structs.replace(
        record,
        token=session.token,
        known=session.known or record.known,
        expires_at=session.expires_at,
    )
    store.save(kept)
    return kept


def _json_or_text(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text


def _minute(text: str, highest: int) -> int:
    hour, colon, minute = text.strip().partition(":")
    value = int(hour) * 60 + int(minute)
    if not colon or not 0 <= int(minute) < 60 or not 0 <= value <= highest:
        raise ValueError(text)
    return value
