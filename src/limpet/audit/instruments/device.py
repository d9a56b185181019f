"""The device's API as a stranger and as the owner see it.

Owns reading the identity, the support statement, the security contact and the
list of operations, and the attempts to use every operation without the right to.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from limpet.audit.instruments.http import (
    Answer,
    Conversation,
    ask,
    converse,
    converse_as_owner,
    read_json,
)
from limpet.audit.target import Endpoint, Target
from limpet.errors import LimpetError, Unavailable

__all__ = [
    "Api",
    "Attempt",
    "Operation",
    "read_api",
    "read_fresh_identity",
    "read_identity",
    "read_security_contact",
    "try_fresh_operations",
    "try_operations",
]

MAX_OPERATIONS = 120
_METHODS = ("get", "put", "post", "delete", "patch")
_PARAMETER = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path; `public` as the device itself declares it."""

    method: str
    path: str
    public: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Api:
    """All operations, and where the list is from."""

    operations: tuple[Operation, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an operation answered to somebody without the right to it."""

    operation: Operation
    shown: str  # what was shown for authorization
    status: int
    body: bytes
    challenge: str  # WWW-Authenticate


# The documented interface (docs/api.md), for an audit without the owner's token.
_DOCUMENTED = (
    Operation("GET", "/v1/identity", True),
    Operation("GET", "/.well-known/security.txt", True),
    Operation("POST", "/v1/claim", True),
    Operation("POST", "/v1/login", True),
    Operation("POST", "/v1/logout", False),
    Operation("PUT", "/v1/password", False),
    Operation("GET", "/v1/tokens", False),
    Operation("POST", "/v1/tokens", False),
    Operation("DELETE", "/v1/tokens/{id}", False),
    Operation("GET", "/v1/functions", False),
    Operation("GET", "/v1/functions/{name}", False),
    Operation("POST", "/v1/functions/{name}", False),
    Operation("GET", "/v1/update", False),
    Operation("PUT", "/v1/update/policy", False),
    Operation("POST", "/v1/update/check", False),
    Operation("POST", "/v1/update/install", False),
    Operation("GET", "/v1/events", False),
    Operation("GET", "/v1/device", False),
    Operation("POST", "/v1/reset", False),
    Operation("GET", "/v1/openapi.json", False),
)


def read_identity(target: Target) -> dict[str, object]:
    """GET /v1/identity as a stranger."""
    return read_json(ask(target, "GET", "/v1/identity"), "GET /v1/identity")


def read_fresh_identity(target: Target) -> dict[str, object]:
    """GET /v1/identity of the unclaimed device."""
    with converse(target, target.need(target.fresh, "--fresh")) as conversation:
        return read_json(conversation.ask("GET", "/v1/identity"), "GET /v1/identity")


def read_security_contact(target: Target) -> Answer:
    """GET /.well-known/security.txt of the device as a stranger."""
    return ask(target, "GET", "/.well-known/security.txt")


def read_api(target: Target) -> Api:
    """The operations of the device's own OpenAPI document, or else the documented ones."""
    try:
        with converse_as_owner(target) as conversation:
            document = read_json(
                conversation.ask("GET", "/v1/openapi.json"), "the OpenAPI document"
            )
    except LimpetError:
        return Api(_DOCUMENTED, "the documented interface")
    return Api(tuple(_operations(document))[:MAX_OPERATIONS], "the device's OpenAPI document")


def _operations(document: Mapping[str, object]) -> Iterator[Operation]:
    default = document.get("security")
    paths = document.get("paths")
    if not isinstance(paths, dict):
        raise Unavailable("the OpenAPI document lists no paths")
    for path, item in sorted(paths.items()):
        for method in _METHODS:
            if isinstance(item, dict) and isinstance(declared := item.get(method), dict):
                public = not declared.get("security", default)
                yield Operation(method.upper(), str(path), public)


def try_operations(target: Target) -> tuple[Attempt, ...]:
    """Every operation that is not public, with no token and with a made-up one."""
    operations = [one for one in target.observe(read_api).operations if not one.public]
    return _attempts(target, None, operations)


def try_fresh_operations(target: Target) -> tuple[Attempt, ...]:
    """The same against the unclaimed device, and its login with passwords everybody knows."""
    fresh = target.need(target.fresh, "--fresh")
    operations = [one for one in target.observe(read_api).operations if not one.public]
    return _attempts(target, fresh, operations)


def _attempts(
    target: Target, endpoint: Endpoint | None, operations: list[Operation]
) -> tuple[Attempt, ...]:
    attempts: list[Attempt] = []
    for shown, token in (("no token", None), ("a made-up token", secrets.token_urlsafe(32))):
        with converse(target, endpoint, token=token) as conversation:
            attempts += [_attempt(conversation, one, shown) for one in operations]
    return tuple(attempts)


def _attempt(conversation: Conversation, operation: Operation, shown: str) -> Attempt:
    path = _PARAMETER.sub("audit", operation.path)
    document: dict[str, object] | None = (
        {} if operation.method in ("POST", "PUT", "PATCH") else None
    )
    answer = conversation.ask(operation.method, path, document)
    challenge = answer.headers.get("www-authenticate", "")
    return Attempt(operation, shown, answer.status, answer.body, challenge)
