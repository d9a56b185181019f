"""Enrollment over Secure Transport (RFC 7030): from the permanent identity to operational ones.

Owns who may get which certificate. Holds the key of the operational authority
(LDevID); the factory's (IDevID) and the root's are not here.
"""

from .authority import Authority, Enrollment
from .est import MEDIA_TYPE, decode_request, encode_certificates
from .identity import DeviceIdentity, IdentityKind, identify

__all__ = [
    "MEDIA_TYPE",
    "Authority",
    "DeviceIdentity",
    "Enrollment",
    "IdentityKind",
    "decode_request",
    "encode_certificates",
    "identify",
]
