"""The device's HTTP API as one table.

Owns which path exists, who may use it, what it reads and answers. The router
and the OpenAPI document are both made from this table, so neither can know a
path that the other does not. Knows no handler.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from limpet.device.gateway import bodies as b
from limpet.device.gateway import people_bodies as p
from limpet.device.link.messages import Access, UpdatePolicy

__all__ = ["ROUTES", "Match", "Operation", "Route", "match_route", "methods_of"]


class Operation(enum.Enum):
    """What a route does; the handler is found by it."""

    IDENTITY = "identity"
    SECURITY_TXT = "security-txt"
    CLAIM = "claim"
    LOGIN = "login"
    LOGOUT = "logout"
    CHANGE_PASSWORD = "change-password"  # noqa: S105
    LIST_TOKENS = "list-tokens"
    CREATE_TOKEN = "create-token"  # noqa: S105
    REVOKE_TOKEN = "revoke-token"  # noqa: S105
    READ_ACCOUNT = "read-account"
    BEGIN_SECOND_FACTOR = "begin-second-factor"
    CONFIRM_SECOND_FACTOR = "confirm-second-factor"
    DISABLE_SECOND_FACTOR = "disable-second-factor"
    LIST_PEOPLE = "list-people"
    INVITE_PERSON = "invite-person"
    WITHDRAW_INVITATION = "withdraw-invitation"
    JOIN = "join"
    CHANGE_ACCESS = "change-access"
    REMOVE_PERSON = "remove-person"
    READ_OWNERSHIP = "read-ownership"
    OFFER_TRANSFER = "offer-transfer"
    CANCEL_TRANSFER = "cancel-transfer"
    ACCEPT_TRANSFER = "accept-transfer"
    TAKE_OVER = "take-over"
    CANCEL_TAKEOVER = "cancel-takeover"
    LIST_FUNCTIONS = "list-functions"
    READ_FUNCTION = "read-function"
    CALL_FUNCTION = "call-function"
    LIST_NOTIFICATIONS = "list-notifications"
    ACKNOWLEDGE_NOTIFICATION = "acknowledge-notification"
    READ_UPDATE = "read-update"
    SET_UPDATE_POLICY = "set-update-policy"
    CHECK_UPDATE = "check-update"
    INSTALL_UPDATE = "install-update"
    POSTPONE_UPDATE = "postpone-update"
    READ_EVENTS = "read-events"
    READ_DEVICE = "read-device"
    RESET = "reset"
    READ_ANNOUNCEMENT = "read-announcement"
    SET_ANNOUNCEMENT = "set-announcement"
    READ_HOUSEHOLD = "read-household"
    REQUEST_HOUSEHOLD = "request-household"
    INSTALL_HOUSEHOLD = "install-household"
    REMOVE_HOUSEHOLD = "remove-household"
    OPENAPI = "openapi"
    STREAM = "stream"
    PAGE = "page"
    PAGE_FILE = "page-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One path and method. `reads`/`answers` are JSON types; None: no body.

    `query` are the parameters that it takes, each with its JSON Schema. `before_claim`: it
    also answers while the device has no owner.
    """

    operation: Operation
    method: str
    path: str
    access: Access
    summary: str
    reads: Any = None
    answers: Any = None
    status: int = 200
    query: Mapping[str, Any] = field(default_factory=dict)
    before_claim: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """A route and the values of its path's placeholders."""

    route: Route
    values: Mapping[str, str]


_PUBLIC, _VIEWER, _MEMBER, _OWNER = Access.PUBLIC, Access.VIEWER, Access.MEMBER, Access.OWNER
_O = Operation


def _route(
    operation: Operation, method: str, path: str, access: Access, summary: str, **more: Any
) -> Route:
    return Route(
        operation=operation, method=method, path=path, access=access, summary=summary, **more
    )


ROUTES: Sequence[Route] = (
    _route(_O.IDENTITY, "GET", "/v1/identity", _PUBLIC, "What this device is",
           answers=b.IdentityBody, before_claim=True),
    _route(_O.SECURITY_TXT, "GET", "/.well-known/security.txt", _PUBLIC,
           "How to report a security bug (RFC 9116)", before_claim=True),
    _route(_O.CLAIM, "POST", "/v1/claim", _PUBLIC, "Become the owner by the label's code",
           reads=b.ClaimBody, answers=b.SessionBody, status=201, before_claim=True),
    _route(_O.LOGIN, "POST", "/v1/login", _PUBLIC, "Open a session",
           reads=b.LoginBody, answers=b.SessionBody, status=201),
    _route(_O.LOGOUT, "POST", "/v1/logout", _VIEWER, "End this session or token", status=204),
    _route(_O.CHANGE_PASSWORD, "PUT", "/v1/password", _VIEWER,
           "Replace the password; every other session, token and known client ends",
           reads=b.PasswordBody, status=204),
    _route(_O.LIST_TOKENS, "GET", "/v1/tokens", _VIEWER, "Own sessions and API tokens",
           answers=tuple[b.TokenBody, ...]),
    _route(_O.CREATE_TOKEN, "POST", "/v1/tokens", _VIEWER,
           "Make an API token of at most the own access",
           reads=b.TokenRequestBody, answers=b.TokenMadeBody, status=201),
    _route(_O.REVOKE_TOKEN, "DELETE", "/v1/tokens/{id}", _VIEWER,
           "Revoke an own session or token", status=204),
    _route(_O.READ_ACCOUNT, "GET", "/v1/account", _VIEWER, "The own account",
           answers=p.AccountBody),
    _route(_O.BEGIN_SECOND_FACTOR, "POST", "/v1/second-factor", _VIEWER,
           "Make a secret for one-time codes (RFC 6238)", reads=b.ResetBody, answers=p.SecretBody,
           status=201),
    _route(_O.CONFIRM_SECOND_FACTOR, "POST", "/v1/second-factor/confirm", _VIEWER,
           "From now on ask for one-time codes", reads=p.FirstCodeBody,
           answers=p.RecoveryCodesBody),
    _route(_O.DISABLE_SECOND_FACTOR, "POST", "/v1/second-factor/disable", _VIEWER,
           "Ask for no one-time codes any more", reads=b.ResetBody, status=204),
    _route(_O.LIST_PEOPLE, "GET", "/v1/people", _OWNER, "Who has an account, and who is invited",
           answers=p.PeopleBody),
    _route(_O.INVITE_PERSON, "POST", "/v1/people/invitations", _OWNER,
           "Make a code that gives one person an account", reads=p.InviteBody,
           answers=p.InvitationMadeBody, status=201),
    _route(_O.WITHDRAW_INVITATION, "DELETE", "/v1/people/invitations/{id}", _OWNER,
           "Withdraw an invitation", status=204),
    _route(_O.JOIN, "POST", "/v1/join", _PUBLIC, "Get an account by an invitation's code",
           reads=b.ClaimBody, answers=b.SessionBody, status=201),
    _route(_O.CHANGE_ACCESS, "PUT", "/v1/people/access", _OWNER, "Change a person's access",
           reads=p.AccessBody, status=204),
    _route(_O.REMOVE_PERSON, "POST", "/v1/people/remove", _OWNER,
           "End a person's account with all that lets it in", reads=p.PersonNameBody, status=204),
    _route(_O.READ_OWNERSHIP, "GET", "/v1/ownership", _VIEWER,
           "Whether the device is changing hands", answers=p.OwnershipBody),
    _route(_O.OFFER_TRANSFER, "POST", "/v1/transfer", _OWNER,
           "Make a code that gives the device to another owner", reads=p.TransferBody,
           answers=p.TransferMadeBody, status=201),
    _route(_O.CANCEL_TRANSFER, "DELETE", "/v1/transfer", _OWNER, "Keep the device", status=204),
    _route(_O.ACCEPT_TRANSFER, "POST", "/v1/transfer/accept", _PUBLIC,
           "Become the owner by a transfer's code", reads=b.ClaimBody, answers=b.SessionBody,
           status=201),
    _route(_O.TAKE_OVER, "POST", "/v1/takeover", _PUBLIC,
           "Ask for a device whose owner is gone: button, label, and a wait",
           reads=p.TakeoverBody, answers=p.TakeoverBegunBody, status=202),
    _route(_O.CANCEL_TAKEOVER, "DELETE", "/v1/takeover", _OWNER, "Object to a takeover",
           status=204),
    _route(_O.LIST_FUNCTIONS, "GET", "/v1/functions", _VIEWER, "What the product can do",
           answers=tuple[b.FunctionBody, ...]),
    _route(_O.READ_FUNCTION, "GET", "/v1/functions/{name}", _VIEWER, "Take a reading",
           answers=Any),
    _route(_O.CALL_FUNCTION, "POST", "/v1/functions/{name}", _VIEWER, "Do an action",
           reads=dict[str, Any], answers=Any),
    _route(_O.LIST_NOTIFICATIONS, "GET", "/v1/notifications", _VIEWER,
           "What the product tells its owner, newest last", answers=b.NotificationsBody),
    _route(_O.ACKNOWLEDGE_NOTIFICATION, "POST", "/v1/notifications/{id}/acknowledge", _MEMBER,
           "Say that a notification was seen", status=204),
    _route(_O.READ_UPDATE, "GET", "/v1/update", _VIEWER, "Where updates stand",
           answers=b.UpdateBody),
    _route(_O.SET_UPDATE_POLICY, "PUT", "/v1/update/policy", _OWNER,
           "Choose when updates are installed", reads=UpdatePolicy, status=204),
    _route(_O.CHECK_UPDATE, "POST", "/v1/update/check", _OWNER, "Check for updates now",
           status=204),
    _route(_O.INSTALL_UPDATE, "POST", "/v1/update/install", _OWNER,
           "Consent to the release that is held", status=204),
    _route(_O.POSTPONE_UPDATE, "POST", "/v1/update/postpone", _OWNER,
           "Hold updates back for some days, within the product's bound; 0 ends it",
           reads=b.PostponeBody, status=204),
    _route(_O.READ_EVENTS, "GET", "/v1/events", _OWNER, "The security log",
           answers=b.EventsBody,
           query={"after": {"type": "integer", "minimum": 0, "maximum": 1 << 53},
                  "limit": {"type": "integer", "minimum": 1, "maximum": 500}}),
    _route(_O.READ_DEVICE, "GET", "/v1/device", _OWNER, "Confinement, versions and links",
           answers=b.DeviceBody),
    _route(_O.RESET, "POST", "/v1/reset", _OWNER,
           "Factory reset: destroy accounts and the owner's data; answers with a fresh claim code",
           reads=b.ResetBody, answers=p.FreshCodeBody),
    _route(_O.READ_ANNOUNCEMENT, "GET", "/v1/announcement", _VIEWER,
           "What the local network is told of the device", answers=b.AnnouncementBody),
    _route(_O.SET_ANNOUNCEMENT, "PUT", "/v1/announcement", _OWNER,
           "Tell the local network where the device is, or nothing",
           reads=b.AnnouncementSettingBody, answers=b.AnnouncementBody),
    _route(_O.READ_HOUSEHOLD, "GET", "/v1/household", _VIEWER,
           "The certificate that browsers are shown", answers=b.HouseholdBody),
    _route(_O.REQUEST_HOUSEHOLD, "POST", "/v1/household/request", _OWNER,
           "A certificate request, for the owner's household to sign",
           answers=b.HouseholdRequestBody, status=201),
    _route(_O.INSTALL_HOUSEHOLD, "PUT", "/v1/household", _OWNER,
           "Show browsers a certificate of the owner's household",
           reads=b.HouseholdChainBody, answers=b.HouseholdBody),
    _route(_O.REMOVE_HOUSEHOLD, "DELETE", "/v1/household", _OWNER,
           "Show browsers the maker's certificate again", status=204),
    _route(_O.OPENAPI, "GET", "/v1/openapi.json", _VIEWER, "This description", answers=Any),
    _route(_O.STREAM, "GET", "/v1/stream", _VIEWER,
           "Live readings and the state of updates (text/event-stream)"),
    _route(_O.PAGE, "GET", "/", _PUBLIC, "The device's own web page", before_claim=True),
    _route(_O.PAGE_FILE, "GET", "/page/{file}", _PUBLIC, "A file of that page", before_claim=True),
)  # fmt: skip
"""Every route. A function's own access is checked besides the route's."""


_FIXED: Mapping[tuple[str, str], Match] = {
    (route.method, route.path): Match(route, {}) for route in ROUTES if "{" not in route.path
}
_VARIABLE = tuple(route for route in ROUTES if "{" in route.path)


def match_route(method: str, path: str) -> Match | None:
    """The route for `method` (HEAD counts as GET) and `path`."""
    wanted = "GET" if method == "HEAD" else method
    found = _FIXED.get((wanted, path))
    if found is not None:
        return found
    for route in _VARIABLE:
        values = _values(route.path, path) if route.method == wanted else None
        if values is not None:
            return Match(route, values)
    return None


def methods_of(path: str) -> tuple[str, ...]:
    """The methods that `path` has, for Allow; empty: no such path."""
    return tuple(route.method for route in ROUTES if _values(route.path, path) is not None)


def _values(pattern: str, path: str) -> Mapping[str, str] | None:
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    values: dict[str, str] = {}
    for part, value in zip(wanted, given, strict=True):
        if part.startswith("{"):
            if not value:
                return None
            values[part[1:-1]] = value
        elif part != value:
            return None
    return values
