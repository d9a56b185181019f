"""Requests to one device, over one verified connection.

Owns the owner's use of the API: paths, the bearer token, and what a refusal means
in words. Sends no secret before TLS has shown who the peer is, and never repeats
a request that changes something.
"""

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from limpet.crypto.names import pinned_name
from limpet.errors import Rejected, Unavailable
from limpet.https.client import ClientResponse, HttpsClient, Timeouts
from limpet.owner.answers import (
    AnnouncementAnswer,
    DeviceIdentity,
    EventsAnswer,
    FunctionAnswer,
    HouseholdAnswer,
    NotificationAnswer,
    NotificationsAnswer,
    Policy,
    ProblemAnswer,
    SessionAnswer,
    TokenAnswer,
    UpdateAnswer,
    parse_answer,
)
from limpet.owner.trust import DeviceAddress, VerifiedRoot, device_context

__all__ = ["DeviceClient"]

ANSWER_BYTES = 512 << 10
TIMEOUTS = Timeouts(connect=10.0, total=30.0)

T = TypeVar("T")

_WORDS: Mapping[str, tuple[str, str]] = {
    "wrong-code": ("the code is wrong", "read it again; a label's is printed beside its QR code"),
    "press-the-button": (
        "the device must know that you are there",
        "press its button, then try again within two minutes",
    ),
    "second-factor-needed": ("a one-time code is needed", "or one of your recovery codes"),
    "wrong-second-factor": ("this one-time code is wrong, or was used already", ""),
    "clock-wrong": ("the device does not know the time", "use one of your recovery codes"),
    "already-claimed": (
        "this device has an owner already",
        "its owner can give you access, or reset it before handing it on",
    ),
    "wrong-credentials": ("name or password is wrong", ""),
    "unclaimed": ("the device has no owner yet", "limpet owner claim URL --label …"),
    "unauthorized": ("the device does not know this session (any more)", "limpet owner login"),
    "forbidden": ("this account may not do that", "ask the device's owner"),
    "access-too-low": ("this account may not do that", "ask the device's owner"),
}
"""What a person reads for the gateway's reasons; any other comes with the device's own words."""


class DeviceClient:
    """The device `serial` at `address`. Use as a context; not for several threads."""

    def __init__(
        self,
        address: DeviceAddress,
        *,
        root: VerifiedRoot,
        serial: str,
        token: str = "",
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        self.address, self.serial, self._token = address, serial, token
        # The name that gets the maker's chain, also where browsers are shown the household's. TLS
        # checks it; where the device is comes from the owner (as curl --resolve).
        host = pinned_name(serial)
        self._http = HttpsClient(
            f"https://{host}:{address.port}",
            tls=device_context(root, serial),
            resolve={f"{host}:{address.port}": f"{address.host}:{address.port}"},
            timeouts=timeouts,
        )

    def __enter__(self) -> "DeviceClient":
        """Use as a context to close it in the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._http.close()

    def identity(self) -> DeviceIdentity:
        """Who the device says it is; its serial must be the one that its certificate proved."""
        identity = self.ask("GET", "/v1/identity", DeviceIdentity)
        if identity.serial != self.serial:
            raise Rejected("wrong-device", "the device contradicts its own certificate")
        return identity

    def claim(self, *, code: str, name: str, password: str) -> SessionAnswer:
        """Become the owner. Raises `Rejected("wrong-code" | "already-claimed" | "throttled" …)`."""
        return self.enter("/v1/claim", code=code, name=name, password=password)

    def enter(self, path: str, *, code: str, name: str, password: str) -> SessionAnswer:
        """Become a person of the device by a code, at the path that the code is for."""
        return self._open(path, {"code": code, "name": name, "password": password})

    def login(
        self, *, name: str, password: str, known: str = "", second: str = "", label: str = ""
    ) -> SessionAnswer:
        """Open a session. `known` is the cookie of an earlier one, or empty.

        `second` is a one-time or recovery code; `label` the label's code, for who is at the
        device. Raises `Rejected("second-factor-needed" | "press-the-button" | …)`.
        """
        given = {"name": name, "password": password}
        more = {"known": known, "second": second, "label": label}
        return self._open("/v1/login", given | {key: text for key, text in more.items() if text})

    def change_password(self, old: str, new: str, *, second: str = "") -> None:
        """Replace the caller's password. Raises `Rejected("weak-password" | …)`."""
        body = {"old": old, "new": new} | ({"second": second} if second else {})
        self.request("PUT", "/v1/password", body)

    def functions(self) -> list[FunctionAnswer]:
        """What the product can do."""
        return self.ask("GET", "/v1/functions", list[FunctionAnswer])

    def function(self, name: str) -> FunctionAnswer:
        """The declaration of function `name`. Raises `Rejected("unknown-function")`."""
        function = next((f for f in self.functions() if f.name == name), None)
        if function is None:
            raise Rejected(
                "unknown-function",
                f"this device has no function {name}",
                hint="limpet owner functions lists what it has",
            )
        return function

    def call(self, function: FunctionAnswer, arguments: Mapping[str, Any]) -> Any:
        """The result of one of `functions()`."""
        path = f"/v1/functions/{quote(function.name)}"
        if function.kind == "action":
            return self.request("POST", path, arguments)
        query = urlencode({key: _as_text(value) for key, value in arguments.items()})
        return self.request("GET", f"{path}?{query}" if query else path)

    def update(self) -> UpdateAnswer:
        """Where updates stand."""
        return self.ask("GET", "/v1/update", UpdateAnswer)

    def set_policy(self, policy: Policy) -> None:
        """Replace the owner's choice about updates.

        What is not chosen of the network is left out: older firmware does not know it.
        """
        wanted = msgspec.to_builtins(policy)
        unset = [name for name in ("metered", "bandwidth", "proxy") if not wanted[name]]
        for name in unset:
            del wanted[name]
        self.request("PUT", "/v1/update/policy", wanted)

    def tokens(self) -> list[TokenAnswer]:
        """The caller's sessions and API tokens, without their secrets."""
        return self.ask("GET", "/v1/tokens", list[TokenAnswer])

    def create_token(self, wanted: Mapping[str, Any]) -> SessionAnswer:
        """A new API token: `label`, `access`, `lifetime_seconds`."""
        return parse_answer(self._send("POST", "/v1/tokens", wanted).body, SessionAnswer)

    def household(self) -> HouseholdAnswer:
        """The certificate that browsers are shown."""
        return self.ask("GET", "/v1/household", HouseholdAnswer)

    def announcement(self, *, enabled: bool | None = None) -> AnnouncementAnswer:
        """Whether the local network is told of the device; set first, if `enabled` is given."""
        if enabled is None:
            return self.ask("GET", "/v1/announcement", AnnouncementAnswer)
        answer = self._send("PUT", "/v1/announcement", {"enabled": enabled})
        return parse_answer(answer.body, AnnouncementAnswer)

    def events(self, limit: int) -> tuple[str, ...]:
        """The newest `limit` lines of the owner's security log, newest last."""
        return self.ask("GET", f"/v1/events?limit={limit}", EventsAnswer).lines

    def events_after(self, number: int) -> EventsAnswer:
        """A page of the security log: what follows the entry of this number."""
        return self.ask("GET", f"/v1/events?after={number}", EventsAnswer)

    def notifications(self) -> tuple[NotificationAnswer, ...]:
        """What the product tells its owner, newest last."""
        return self.ask("GET", "/v1/notifications", NotificationsAnswer).notifications

    def acknowledge(self, notification_id: int) -> None:
        """Say that a notification was seen. Raises `Rejected("no-such-notice")`."""
        self.request("POST", f"/v1/notifications/{notification_id}/acknowledge")

    def withdraw_invitation(self, invitation_id: str) -> None:
        """End an invitation. Raises `Rejected("no-such-invitation")`."""
        self.request("DELETE", f"/v1/people/invitations/{quote(invitation_id, safe='')}")

    def revoke_token(self, token_id: str) -> None:
        """End one of the caller's tokens."""
        self.request("DELETE", f"/v1/tokens/{quote(token_id, safe='')}")

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The device's answer as plain JSON values; None for an empty one.

        Raises `Rejected` by the device's reason, `Unavailable` if it cannot be reached.
        """
        answer = self._send(method, path, body)
        return parse_answer(answer.body, object) if answer.body else None

    def ask(self, method: str, path: str, kind: type[T], body: Any = None) -> T:
        """The device's answer as a `kind`. Raises as `request` does."""
        return parse_answer(self._send(method, path, body).body, kind)

    def _open(self, path: str, body: Mapping[str, str]) -> SessionAnswer:
        session = parse_answer(self._send("POST", path, body).body, SessionAnswer)
        self._token = session.token
        return session

    def _send(self, method: str, path: str, body: Any) -> ClientResponse:
        headers = {"accept": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        encoded = b""
        if body is not None:
            headers["content-type"] = "application/json"
            encoded = msgspec.json.encode(body)
        try:
            answer = self._http.request(
                method, path, encoded, max_bytes=ANSWER_BYTES, headers=headers
            )
        except Unavailable as error:
            raise Unavailable(
                f"cannot reach the device {self.serial} at {self.address.url}: {_cause(error)}",
                hint="is it switched on, and is the address right? --url gives a new one",
            ) from error
        except Rejected as error:
            raise _explain_trust(error, self.serial) from error
        if not 200 <= answer.status < 300:
            raise _refusal(answer)
        return answer


def _refusal(answer: ClientResponse) -> Rejected:
    """The device's refusal in words."""
    try:
        told = parse_answer(answer.body, ProblemAnswer)
    except Rejected:
        told = ProblemAnswer()
    reason = told.reason or f"http-{answer.status}"
    if answer.status == 429:
        wait = answer.headers.get("retry-after", "")
        when = f"try again in {wait} s" if wait.isdigit() else "try again later"
        what = "the device is busy" if reason == "busy" else "too many attempts"
        return Rejected(reason, f"{what}: {when}")
    message, hint = _WORDS.get(reason, (told.detail or f"the device refused ({reason})", ""))
    if answer.status == 401 and reason not in _WORDS:
        message, hint = _WORDS["unauthorized"]
    return Rejected(reason, message, hint=hint)


def _explain_trust(error: Rejected, serial: str) -> Rejected:
    """A certificate that does not hold, in words that say what to do."""
    if error.reason != "untrusted-server":
        return error
    text = error.message.lower()
    if "expired" in text or "not yet valid" in text:
        return Rejected(
            "expired-certificate",
            f"the certificate of {serial} is not valid at this time",
            hint="check this computer's clock; a device renews its certificate when it is online",
        )
    elsewhere = "mismatch" in text
    return Rejected(
        "untrusted-device",
        f"the peer does not prove that it is {serial}: {error.message.rpartition(': ')[2]}",
        hint="another device answers at this address: is the address right?"
        if elsewhere
        else "a new device needs its maker's certificate first: is it online? is the root right?",
    )


def _cause(error: Unavailable) -> str:
    """The end of the transport's message, without the name that only TLS knows."""
    return error.message.rpartition(": ")[2] if ": " in error.message else "no answer in time"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
