"""Names in a design that nobody can ever own, and so nobody can ever reach.

Owns the list of such names. They are right in an example and in a product that is still being
made; on a device that a customer holds, the security contact leads nowhere. So they are noted and
refuse nothing.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from ._problem import Finding, Path, Severity, quote
from ._types import Product

__all__ = ["is_reserved", "list_placeholders", "placeholders_of"]

_RESERVED = (
    "test", "example", "invalid", "localhost",  # RFC 6761, 6.2 to 6.5; RFC 2606, 2
    "example.com", "example.net", "example.org",  # RFC 2606, 3
)  # fmt: skip
_HINT = "name your own before a customer gets a device"


def is_reserved(host: str) -> bool:
    """Whether `host` is, or lies below, a name that RFC 2606 or RFC 6761 keeps from everybody."""
    name = host.rstrip(".").lower()
    return any(name == one or name.endswith(f".{one}") for one in _RESERVED)


def placeholders_of(product: Product) -> Iterator[Finding]:
    """One note for each place of the design that names such a host."""
    for path, value, host in _hosts(product):
        if is_reserved(host):
            message = (
                f"{quote(value)} leads to nobody: such names are for examples (RFC 2606, 6761)"
            )
            yield Finding(path, message, _HINT, Severity.NOTE)


def list_placeholders(product: Product) -> tuple[str, ...]:
    """Every such host of the design, once."""
    return tuple(sorted({host for _, _, host in _hosts(product) if is_reserved(host)}))


def _hosts(product: Product) -> Iterator[tuple[Path, str, str]]:
    for number, host in enumerate(product.vendor.hosts):
        yield ("vendor", "hosts", number), host, host
    contact, development = product.security_contact, product.development
    uris: list[tuple[Path, str | None]] = [
        (("maker", "url"), product.maker.url),
        (("security_contact", "policy_url"), contact.policy_url),
    ]
    uris += [
        (("security_contact", "contacts", number), one)
        for number, one in enumerate(contact.contacts)
    ]
    if development is not None:
        uris.append((("development", "issue_tracker"), development.issue_tracker))
        uris.append((("development", "source"), development.source))
    yield from ((path, uri, _host_of(uri)) for path, uri in uris if uri)


def _host_of(uri: str) -> str:
    """The host of an https or mailto URI; "" where it has none."""
    if uri.lower().startswith("mailto:"):
        return uri.partition("?")[0].rpartition("@")[2]
    try:
        return urlsplit(uri).hostname or ""
    except ValueError:  # brackets without an address
        return ""
