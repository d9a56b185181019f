"""HTTP requests to a device or a service, with and without a token, from a chosen source.

Owns one bounded exchange (RFC 9112 by the standard library) and the rule that a
token goes only to a peer whose certificate verified. Follows no redirect.
"""

import contextlib
import http.client
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from limpet.audit.instruments.certificates import describe_chain
from limpet.audit.instruments.tls import suspicious_context, verifying_context
from limpet.audit.target import Endpoint, Target
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.storage import read_bounded

__all__ = [
    "MAX_BODY",
    "Answer",
    "Conversation",
    "ask",
    "converse",
    "converse_as_owner",
    "converse_with_vendor",
    "read_json",
]

MAX_BODY = 1 << 20
MAX_IDENTITY = 16 << 10
SECONDS = 5.0
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def retry_after(self) -> float | None:
        """Retry-After in seconds (RFC 9110, 10.2.3), if it is a number."""
        value = self.headers.get("retry-after", "")
        return float(value) if value.isdigit() else None


class Conversation:
    """Requests over one kept connection, opened again where the server closed it."""

    def __init__(
        self,
        endpoint: Endpoint,
        context: ssl.SSLContext,
        *,
        token: str | None = None,
        source: str = "",
        seconds: float = SECONDS,
        serial: str = "",
    ) -> None:
        self.endpoint, self._context, self._token = endpoint, context, token
        self._source, self._seconds, self._serial = source, seconds, serial
        self._connection: http.client.HTTPSConnection | None = None

    def ask(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        headers: Mapping[str, str] = _NONE,
    ) -> Answer:
        """One exchange; `document` is sent as JSON. Raises `Unavailable`."""
        body = None if document is None else msgspec.json.encode(document)
        sent = {"accept": "application/json", **headers}
        if body is not None:
            sent.setdefault("content-type", "application/json")
        if self._token is not None:
            sent.setdefault("authorization", f"Bearer {self._token}")
        kept = self._connection is not None
        try:
            return self._exchange(method, path, body, sent)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not kept:
                raise _unavailable(self.endpoint, error) from error
        try:
            return self._exchange(method, path, body, sent)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _unavailable(self.endpoint, error) from error

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        begun = time.monotonic()
        connection = self._connection or self._open()
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("host", headers.get("host") or _authority(self.endpoint))
        for name, value in headers.items():
            if name != "host":
                connection.putheader(name, value)
        if body is not None or method in ("POST", "PUT"):
            connection.putheader("content-length", str(len(body or b"")))
        connection.endheaders(body)
        response = connection.getresponse()
        received = response.read(MAX_BODY + 1)
        if len(received) > MAX_BODY:
            self.close()
            raise Unavailable(f"{path} answered more than {MAX_BODY} bytes")
        if response.will_close:
            self.close()
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.getheaders()},
            body=received,
            seconds=time.monotonic() - begun,
        )

    def _open(self) -> http.client.HTTPSConnection:
        host, port = self.endpoint.peer
        connection = _Connection(
            host,
            port,
            timeout=self._seconds,
            context=self._context,
            source_address=(self._source, 0) if self._source else None,
        )
        connection.server_name = self.endpoint.host
        connection.connect()
        if self._serial:
            leaf = connection.sock.getpeercert(binary_form=True)
            shown = describe_chain((leaf,))[0].serial if leaf else ""
            if shown.upper() != self._serial.upper():
                connection.close()
                raise Unavailable(f"{self.endpoint} is {shown or 'nobody'}, not {self._serial}")
        self._connection = connection
        return connection


class _Connection(http.client.HTTPSConnection):
    """Connects to an address, and speaks TLS with a name (as `curl --resolve`)."""

    server_name = ""

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]
        self.sock = context.wrap_socket(self.sock, server_hostname=self.server_name)


@contextlib.contextmanager
def converse(
    target: Target,
    endpoint: Endpoint | None = None,
    *,
    token: str | None = None,
    source: str = "",
    quiet: bool = True,
    seconds: float = SECONDS,
) -> Iterator[Conversation]:
    """A conversation as a stranger (any certificate is accepted; `token` is a made-up one)."""
    endpoint = endpoint or target.need(target.device, "device URL")
    conversation = Conversation(
        endpoint, suspicious_context(), token=token, source=source, seconds=seconds
    )
    with target.doors if quiet else contextlib.nullcontext():
        try:
            yield conversation
        finally:
            conversation.close()


@contextlib.contextmanager
def converse_as_owner(
    target: Target, *, quiet: bool = True, seconds: float = SECONDS
) -> Iterator[Conversation]:
    """A conversation with the owner's token, after the device has proved who it is."""
    endpoint = target.need(target.device, "device URL")
    token = target.need(target.token, "--token-file")
    roots = target.need(target.device_root_pem, "--device-root")
    conversation = Conversation(
        endpoint,
        verifying_context(roots),
        token=token,
        seconds=seconds,
        serial=_expected_serial(target),
    )
    with target.doors if quiet else contextlib.nullcontext():
        try:
            yield conversation
        finally:
            conversation.close()


@contextlib.contextmanager
def converse_with_vendor(target: Target) -> Iterator[Conversation]:
    """A conversation with the vendor's service, whose name and chain are verified."""
    endpoint = target.need(target.vendor, "--vendor-url")
    roots = target.need(target.service_root_pem, "--service-root")
    context = verifying_context(roots)
    context.check_hostname = True
    conversation = Conversation(endpoint, context)
    try:
        yield conversation
    finally:
        conversation.close()


def ask(target: Target, method: str, path: str, document: object = None) -> Answer:
    """One request to the device as a stranger."""
    with converse(target) as conversation:
        return conversation.ask(method, path, document)


def read_json(answer: Answer, what: str) -> dict[str, object]:
    """The JSON object in a 200 answer. Raises `Rejected("malformed")`."""
    if answer.status != 200:
        raise Rejected("malformed", f"{what} answered {answer.status}")
    try:
        return msgspec.json.decode(answer.body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected("malformed", f"{what} is not a JSON object") from error


def _expected_serial(target: Target) -> str:
    """Which device it must be, by its own files or its label; empty where neither was given.

    With `--fresh` the label may be the fresh device's, and says nothing about this one.
    """
    if target.device_dir is not None:
        data = read_bounded(target.device_dir / "identity.json", max_bytes=MAX_IDENTITY)
        try:
            return str(msgspec.json.decode(data, type=dict[str, object])["serial"])
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
            raise Unavailable("the device's identity.json names no serial") from error
    if target.label is None or target.fresh is not None:
        return ""
    from limpet.product import parse_label_uri

    try:
        return parse_label_uri(target.label).serial
    except LimpetError as error:
        raise Unavailable(f"the label cannot be read: {error.message}") from error


def _authority(endpoint: Endpoint) -> str:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return host if endpoint.port == 443 else f"{host}:{endpoint.port}"


def _unavailable(endpoint: Endpoint, error: Exception) -> Unavailable:
    if isinstance(error, TimeoutError):
        return Unavailable(f"{endpoint} did not answer in time")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unavailable(f"{endpoint} is not trusted: {error.verify_message}")
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
    return Unavailable(f"{endpoint}: {str(reason).lower() or type(error).__name__}")
