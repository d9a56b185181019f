"""One P-256 key in a PKCS#11 token (OASIS PKCS #11 2.40), by its C interface.

Owns the calls and their structures; asks the module for nothing that could move a
private key out of it. A module is a shared library named by the factory.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from limpet.errors import LimpetError, Rejected, Unavailable

__all__ = ["ID", "Token", "load_library"]

ID = b"idevid"
"""CKA_ID of the two halves of the key."""

MOST_SLOTS, MOST_OBJECTS = 64, 8
VALUE_BYTES = 256

_RW_SESSION, _INITIALIZED = 0x2 | 0x4, 0x400
_SECURITY_OFFICER, _USER = 0, 1
_CLASS, _TOKEN, _PRIVATE, _LABEL, _KEY_TYPE, _ID = 0x0, 0x1, 0x2, 0x3, 0x100, 0x102
_SENSITIVE, _SIGN, _VERIFY, _EXTRACTABLE, _LOCAL = 0x103, 0x108, 0x10A, 0x162, 0x163
_NEVER_EXTRACTABLE, _ALWAYS_SENSITIVE, _EC_PARAMS, _EC_POINT = 0x164, 0x165, 0x180, 0x181
_PUBLIC_KEY, _PRIVATE_KEY = 2, 3
_EC_KEY, _EC_KEY_PAIR_GEN, _ECDSA = 3, 0x1040, 0x1041
_P256 = bytes.fromhex("06082a8648ce3d030107")  # the curve's object identifier, DER
_TOKEN_INFO_BYTES, _LABEL_BYTES, _FLAGS_AT = 256, 32, 96
_PIN_INCORRECT = 0xA0

_YES, _NO = b"\x01", b"\x00"
_ulong = ctypes.c_ulong
Attributes = Sequence[tuple[int, bytes]]


def load_library(name: str) -> bool:
    """Load a shared library, so that a later use of it finds it loaded; whether that worked."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


class _Attribute(ctypes.Structure):
    _fields_ = [("kind", _ulong), ("value", ctypes.c_void_p), ("length", _ulong)]


class _Mechanism(ctypes.Structure):
    _fields_ = [("kind", _ulong), ("parameter", ctypes.c_void_p), ("length", _ulong)]


class Token:
    """A session with the token labelled `label`. Every method raises `Unavailable` where the
    module does, with the call and its return value."""

    def __init__(self, module: str, label: str) -> None:
        try:
            self._library: Any = ctypes.CDLL(module)
            self._call("C_Initialize", None)
        except OSError as error:
            raise Unavailable(f"the PKCS#11 module {module} does not load") from error
        self._label = label.encode()
        self._session = _ulong(0)

    def exists(self) -> bool:
        """Whether there is an initialized token of this label."""
        return self._find() is not None

    def initialize(self, *, officer_pin: bytes, pin: bytes) -> None:
        """Make the token in a slot that has none. Raises `Rejected("token-in-use")`."""
        if self.exists():
            raise Rejected("token-in-use", "the token is there, and this device has no PIN for it")
        free = [slot for slot in self._slots() if not self._token(slot)[1]]
        if not free:
            raise Unavailable("the PKCS#11 module has no slot without a token")
        padded = self._label.ljust(_LABEL_BYTES)
        self._call("C_InitToken", _ulong(free[0]), officer_pin, _ulong(len(officer_pin)), padded)
        self._open()
        self._login(_SECURITY_OFFICER, officer_pin)
        self._call("C_InitPIN", self._session, pin, _ulong(len(pin)))
        self._call("C_CloseSession", self._session)

    def open(self, pin: bytes) -> None:
        """Open a session as the token's user. Raises `Rejected("wrong-pin")`."""
        self._open()
        self._login(_USER, pin)

    def close(self) -> None:
        """End every session, and the use of the module by this process."""
        self._call("C_Finalize", None)

    def generate(self) -> ec.EllipticCurvePublicKey:
        """A new key in place of the old one, in the token and not extractable; its public half.

        Raises `Rejected("weak-token")` if the token does not promise that it stays inside.
        """
        for kind in (_PUBLIC_KEY, _PRIVATE_KEY):
            for handle in self._objects(kind):
                self._call("C_DestroyObject", self._session, _ulong(handle))
        both = ((_TOKEN, _YES), (_ID, ID), (_LABEL, ID))
        public = (*both, (_EC_PARAMS, _P256), (_VERIFY, _YES))
        private = (*both, (_PRIVATE, _YES), (_SENSITIVE, _YES), (_EXTRACTABLE, _NO), (_SIGN, _YES))
        mechanism = _Mechanism(_EC_KEY_PAIR_GEN, None, 0)
        made = (_ulong(0), _ulong(0))
        self._call(
            "C_GenerateKeyPair", self._session, ctypes.byref(mechanism),
            _template(public), _ulong(len(public)), _template(private), _ulong(len(private)),
            ctypes.byref(made[0]), ctypes.byref(made[1]),
        )  # fmt: skip
        for kind, wanted in (
            (_SENSITIVE, _YES),
            (_EXTRACTABLE, _NO),
            (_LOCAL, _YES),
            (_ALWAYS_SENSITIVE, _YES),
            (_NEVER_EXTRACTABLE, _YES),
        ):
            if self.read(made[1].value, kind) != wanted:
                raise Rejected("weak-token", f"the token lets the key out (attribute {kind:#x})")
        return self.public_key()

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half of the key. Raises `Rejected("bad-key")`."""
        point = self.read(self._one(_PUBLIC_KEY), _EC_POINT)
        try:  # an OCTET STRING around the point (PKCS #11 2.40, 2.3.3)
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point[2:])
        except ValueError as error:
            raise Rejected("bad-key", "the token's key is not on P-256") from error

    def private_handle(self) -> int:
        """The private half's handle in this session."""
        return self._one(_PRIVATE_KEY)

    def sign(self, digest: bytes) -> bytes:
        """ECDSA over a digest, DER (RFC 3279, 2.2.3)."""
        mechanism = _Mechanism(_ECDSA, None, 0)
        key = _ulong(self.private_handle())
        self._call("C_SignInit", self._session, ctypes.byref(mechanism), key)
        signature = ctypes.create_string_buffer(VALUE_BYTES)
        length = _ulong(VALUE_BYTES)
        self._call(
            "C_Sign", self._session, digest, _ulong(len(digest)), signature, ctypes.byref(length)
        )
        raw = signature.raw[: length.value]
        half = len(raw) // 2
        return encode_dss_signature(
            int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        )

    def read(self, handle: int, kind: int) -> bytes:
        """One attribute of an object; a private key's value is refused by the token."""
        value = ctypes.create_string_buffer(VALUE_BYTES)
        wanted = (_Attribute * 1)(
            _Attribute(kind, ctypes.cast(value, ctypes.c_void_p), VALUE_BYTES)
        )
        self._call("C_GetAttributeValue", self._session, _ulong(handle), wanted, _ulong(1))
        return value.raw[: wanted[0].length]

    def _open(self) -> None:
        slot = self._find()
        if slot is None:
            raise Unavailable(f"there is no token {self._label.decode(errors='replace')!r}")
        self._session = _ulong(0)
        session = ctypes.byref(self._session)
        self._call("C_OpenSession", _ulong(slot), _ulong(_RW_SESSION), None, None, session)

    def _login(self, user: int, pin: bytes) -> None:
        self._call("C_Login", self._session, _ulong(user), pin, _ulong(len(pin)))

    def _find(self) -> int | None:
        for slot in self._slots():
            label, initialized = self._token(slot)
            if initialized and label == self._label:
                return slot
        return None

    def _slots(self) -> list[int]:
        slots, count = (_ulong * MOST_SLOTS)(), _ulong(MOST_SLOTS)
        self._call("C_GetSlotList", ctypes.c_ubyte(1), None, ctypes.byref(count))
        count = _ulong(MOST_SLOTS)
        self._call("C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
        return list(slots[: count.value])

    def _token(self, slot: int) -> tuple[bytes, bool]:
        info = ctypes.create_string_buffer(_TOKEN_INFO_BYTES)
        self._call("C_GetTokenInfo", _ulong(slot), info)
        flags = _ulong.from_buffer(info, _FLAGS_AT).value
        return info.raw[:_LABEL_BYTES].rstrip(b" \0"), bool(flags & _INITIALIZED)

    def _one(self, kind: int) -> int:
        found = self._objects(kind)
        if len(found) != 1:
            raise Unavailable(f"the token holds {len(found)} keys of this device, not one")
        return found[0]

    def _objects(self, kind: int) -> list[int]:
        wanted = ((_CLASS, bytes(_ulong(kind))), (_ID, ID))
        handles, count = (_ulong * MOST_OBJECTS)(), _ulong(0)
        template, length = _template(wanted), _ulong(len(wanted))
        self._call("C_FindObjectsInit", self._session, template, length)
        try:
            most = _ulong(MOST_OBJECTS)
            self._call("C_FindObjects", self._session, handles, most, ctypes.byref(count))
        finally:
            self._call("C_FindObjectsFinal", self._session)
        return list(handles[: count.value])

    def _call(self, name: str, *arguments: object) -> None:
        try:
            function = getattr(self._library, name)
        except AttributeError as error:
            raise Unavailable(f"the PKCS#11 module has no {name}") from error
        function.restype = _ulong
        result = function(*arguments)
        if result != 0:
            raise _error(name, result)


def _error(name: str, result: int) -> LimpetError:
    if name == "C_Login" and result == _PIN_INCORRECT:
        return Rejected("wrong-pin", "the token refuses the PIN")
    return Unavailable(f"the token answered {result:#x} to {name}")


def _template(attributes: Attributes) -> Any:
    """A C array; each element keeps its value alive through the array."""
    array = (_Attribute * len(attributes))()
    array.values = []  # type: ignore[attr-defined]
    for place, (kind, value) in enumerate(attributes):
        buffer = ctypes.create_string_buffer(value, len(value))
        array.values.append(buffer)  # type: ignore[attr-defined]
        array[place] = _Attribute(kind, ctypes.cast(buffer, ctypes.c_void_p), len(value))
    return array
