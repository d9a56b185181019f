"""The owner's client: claims a device by its label, and uses it over its own API.

Owns the owner's side of trust, the record of each device on the owner's machine,
and the requests. It reaches a device over TLS only, and imports nothing of one.
"""

from limpet.owner.answers import (
    DeviceIdentity,
    FunctionAnswer,
    SessionAnswer,
    TokenAnswer,
    UpdateAnswer,
)
from limpet.owner.client import DeviceClient
from limpet.owner.flows import claim_device, connect, login_device, logout_device, reset_device
from limpet.owner.store import DeviceRecord, Store, default_store
from limpet.owner.trust import DeviceAddress, VerifiedRoot, parse_device_url, verify_root

__all__ = [
    "DeviceAddress",
    "DeviceClient",
    "DeviceIdentity",
    "DeviceRecord",
    "FunctionAnswer",
    "SessionAnswer",
    "Store",
    "TokenAnswer",
    "UpdateAnswer",
    "VerifiedRoot",
    "claim_device",
    "connect",
    "default_store",
    "login_device",
    "logout_device",
    "parse_device_url",
    "reset_device",
    "verify_root",
]
