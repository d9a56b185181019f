"""The Manufacturer Usage Description of a product (RFC 8520), from its design.

Owns the document. What it permits is what `flows` says; it has no other input but the time.
It states no firmware revision: its address is in the permanent certificate and stays the same
over updates (RFC 8520, the leaf firmware-rev). Signing it is `limpet.crypto.cms`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from limpet.errors import Misuse, Rejected

from ._types import Product, Transport
from .flows import Flow, Peers, list_flows

__all__ = [
    "CACHE_HOURS",
    "MUD_TYPE",
    "SIGNATURE_TYPE",
    "mud_path",
    "mud_url",
    "render_mud",
    "signature_path",
    "verify_mud",
]

CACHE_HOURS = 48
MUD_TYPE, SIGNATURE_TYPE = "application/mud+json", "application/pkcs7-signature"

_INFO_CHARACTERS = 60  # of display space for systeminfo
_PROTOCOLS = {Transport.TCP: 6, Transport.UDP: 17}
_CONTROLLERS = {
    Peers.NAME_SERVERS: "urn:ietf:params:mud:dns",
    Peers.TIME_SERVERS: "urn:ietf:params:mud:ntp",
}
_GROUPS = {"ipv4": "224.0.0.251/32", "ipv6": "ff02::fb/128"}

Json = dict[str, Any]


def mud_path(product: Product) -> str:
    """Where the document lies on the vendor's host."""
    return f"/mud/{product.model.name}.json"


def signature_path(product: Product) -> str:
    """Where its signature lies on the vendor's host."""
    return f"/mud/{product.model.name}.p7s"


def mud_url(product: Product) -> str:
    """The address that a device announces. Raises `Rejected("no-vendor-host")`."""
    return f"https://{_host(product)}{mud_path(product)}"


def render_mud(
    product: Product, *, last_update: datetime, supported: bool, signed: bool = False
) -> bytes:
    """The document as readable JSON: the same bytes for the same arguments.

    `last_update` (with a zone) is when it became what it is, `signed` says that its signature
    lies beside it. Raises `Rejected("no-vendor-host")` for a design without a host to serve it.
    """
    if last_update.tzinfo is None:
        raise Misuse("a MUD file needs a time with a zone")
    acls = {"from-device": _lists(product, _sent), "to-device": _lists(product, _received)}
    mud: Json = {
        "mud-version": 1,
        "mud-url": mud_url(product),
        "last-update": last_update.astimezone(UTC).replace(microsecond=0).isoformat(),
        "cache-validity": CACHE_HOURS,
        "is-supported": supported,
        "systeminfo": _brief(f"{product.maker.name} {product.model.display_name}"),
        "mfg-name": product.maker.name,
        "model-name": product.model.name,
        "documentation": f"https://{_host(product)}/security",
    }
    if signed:
        mud["mud-signature"] = f"https://{_host(product)}{signature_path(product)}"
    for direction, lists in acls.items():
        names = [{"name": f"{acl['name']}-{direction}"} for acl in lists]
        mud[f"{direction}-policy"] = {"access-lists": {"access-list": names}}
    every = [
        {**acl, "name": f"{acl['name']}-{direction}"}
        for direction, lists in acls.items()
        for acl in lists
    ]
    document = {"ietf-mud:mud": mud, "ietf-access-control-list:acls": {"acl": every}}
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


class _Mud(msgspec.Struct, rename="kebab"):
    last_update: datetime
    is_supported: bool
    mud_signature: str = ""


class _Document(msgspec.Struct):
    mud: _Mud = msgspec.field(name="ietf-mud:mud")


def verify_mud(document: bytes, product: Product, *, now: datetime) -> None:
    """Raise `Rejected("mud-out-of-step")` unless `document` is what the design says at `now`."""
    try:
        mud = msgspec.json.decode(document, type=_Document).mud
        same = mud.last_update.tzinfo is not None and document == render_mud(
            product,
            last_update=mud.last_update,
            supported=mud.is_supported,
            signed=bool(mud.mud_signature),
        )
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Rejected("mud-out-of-step", "it is no MUD file") from None
    if not same or mud.is_supported != (now.date() <= product.support.until):
        raise Rejected(
            "mud-out-of-step",
            "the MUD file does not say what the design says",
            hint="make it again, and sign it: limpet product mud --out DIR --key … --certificate …",
        )


def _lists(product: Product, entry: Callable[[Flow, str], Json | None]) -> list[Json]:
    """One access list for each version of IP."""
    return [
        {
            "name": f"{product.model.name}-{family}",
            "type": f"{family}-acl-type",
            "aces": {"ace": _entries(list_flows(product), family, entry)},
        }
        for family in _GROUPS
    ]


def _entries(
    flows: Sequence[Flow], family: str, entry: Callable[[Flow, str], Json | None]
) -> list[Json]:
    return [
        {"name": _name(flow), "matches": matches, "actions": {"forwarding": "accept"}}
        for flow in flows
        if (matches := entry(flow, family)) is not None
    ]


def _name(flow: Flow) -> str:
    way = "in" if flow.inbound else "out"
    return f"{way}-{flow.transport.value}-{flow.port}-{flow.host or flow.peers.value}"


def _sent(flow: Flow, family: str) -> Json | None:
    """What matches the packets of `flow` that the device sends."""
    if flow.peers is Peers.MULTICAST_DNS and flow.inbound:
        return None  # what is answered to a question is sent to the group
    side = "source" if flow.inbound else "destination"
    return _matches(flow, family, peer="dst", port=side)


def _received(flow: Flow, family: str) -> Json | None:
    """What matches the packets of `flow` that the device gets."""
    if flow.peers is Peers.MULTICAST_DNS and not flow.inbound:
        return None
    side = "destination" if flow.inbound else "source"
    return _matches(flow, family, peer="src", port=side)


def _matches(flow: Flow, family: str, *, peer: str, port: str) -> Json:
    network: Json = {"protocol": _PROTOCOLS[flow.transport]}
    matches: Json = {}
    if flow.peers is Peers.HOSTS:
        network[f"ietf-acldns:{peer}-dnsname"] = flow.host
    elif flow.peers in _CONTROLLERS:
        matches["ietf-mud:mud"] = {"controller": _CONTROLLERS[flow.peers]}
    elif flow.peers is Peers.MULTICAST_DNS:
        network[f"destination-{family}-network"] = _GROUPS[family]
        if flow.inbound:
            matches["ietf-mud:mud"] = {"local-networks": [None]}
    else:
        matches["ietf-mud:mud"] = {"local-networks": [None]}
    ports: Json = {f"{port}-port": {"operator": "eq", "port": flow.port}}
    if flow.transport is Transport.TCP:
        ports["ietf-mud:direction-initiated"] = "to-device" if flow.inbound else "from-device"
    return {**matches, family: network, flow.transport.value: ports}


def _host(product: Product) -> str:
    if not product.vendor.hosts:
        raise Rejected(
            "no-vendor-host",
            "the design names no host that could serve the MUD file",
            hint="name the vendor's host in [vendor] hosts",
        )
    return product.vendor.hosts[0]


def _brief(text: str) -> str:
    return text if len(text) <= _INFO_CHARACTERS else f"{text[: _INFO_CHARACTERS - 1]}…"
