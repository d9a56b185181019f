"""One P-256 key in a PKCS#11 token: the device's permanent key.

Owns which key that is, and how it is made. A module is a shared library named by the factory.
"""

import ctypes

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from limpet.crypto.cryptoki import PRIVATE_KEY, PUBLIC_KEY, YES, Attribute, Session, ulong
from limpet.errors import Rejected, Unavailable

__all__ = ["ID", "Token", "load_library"]

ID = b"idevid"
"""CKA_ID of the two halves of the key."""

_EC_KEY_PAIR_GEN, _ECDSA = 0x1040, 0x1041
_P256 = bytes.fromhex("06082a8648ce3d030107")  # the curve's object identifier, DER


def load_library(name: str) -> bool:
    """Load a shared library, so that a later use of it finds it loaded; whether that worked."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


class Token(Session):
    """A session with the device's token, and the one key in it."""

    def generate(self) -> ec.EllipticCurvePublicKey:
        """A new key in place of the old one, in the token and not extractable; its public half.

        Raises `Rejected("weak-token")` if the token does not promise that it stays inside.
        """
        for kind in (PUBLIC_KEY, PRIVATE_KEY):
            for handle in self._objects(kind):
                self.destroy(handle)
        both = ((Attribute.TOKEN, YES), (Attribute.ID, ID), (Attribute.LABEL, ID))
        public = (*both, (Attribute.EC_PARAMS, _P256), (Attribute.VERIFY, YES))
        private = (*both, (Attribute.SIGN, YES))
        self.generate_pair(_EC_KEY_PAIR_GEN, public, private)
        return self.public_key()

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half of the key. Raises `Rejected("bad-key")`."""
        point = self.read(self._one(PUBLIC_KEY), Attribute.EC_POINT)
        try:  # an OCTET STRING around the point (PKCS #11 2.40, 2.3.3)
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point[2:])
        except ValueError as error:
            raise Rejected("bad-key", "the token's key is not on P-256") from error

    def private_handle(self) -> int:
        """The private half's handle in this session."""
        return self._one(PRIVATE_KEY)

    def sign(self, digest: bytes) -> bytes:
        """ECDSA over a digest, DER (RFC 3279, 2.2.3)."""
        raw = self.sign_by(_ECDSA, self.private_handle(), digest)
        half = len(raw) // 2
        return encode_dss_signature(
            int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        )

    def _one(self, kind: int) -> int:
        found = self._objects(kind)
        if len(found) != 1:
            raise Unavailable(f"the token holds {len(found)} keys of this device, not one")
        return found[0]

    def _objects(self, kind: int) -> list[int]:
        return self.find(((Attribute.CLASS, ulong(kind)), (Attribute.ID, ID)))
