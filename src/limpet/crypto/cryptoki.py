"""A session with a PKCS#11 token (OASIS PKCS #11 3.1), by its C interface.

Owns the calls and their structures, for whoever has a key in a token: a device its permanent one,
a signer theirs. A module is a shared library that a person named. Asks it for nothing that could
move a private key out of a token.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

from limpet.errors import LimpetError, Rejected, Unavailable

__all__ = [
    "NO",
    "PRIVATE_KEY",
    "PUBLIC_KEY",
    "YES",
    "Attribute",
    "Attributes",
    "Session",
    "ulong",
]

MOST_SLOTS, MOST_OBJECTS = 64, 8
VALUE_BYTES = 256

PUBLIC_KEY, PRIVATE_KEY = 2, 3
_RW_SESSION, _INITIALIZED = 0x2 | 0x4, 0x400
_SECURITY_OFFICER, _USER = 0, 1
_TOKEN_INFO_BYTES, _LABEL_BYTES, _FLAGS_AT = 256, 32, 96
_PIN_INCORRECT, _PIN_LOCKED, _PIN_LENGTH = 0xA0, 0xA4, 0xA2

YES, NO = b"\x01", b"\x00"
Attributes = Sequence[tuple[int, bytes]]


class Attribute:
    """CKA_*: what an object says of itself."""

    CLASS, TOKEN, PRIVATE, LABEL, KEY_TYPE, ID = 0x0, 0x1, 0x2, 0x3, 0x100, 0x102
    SENSITIVE, SIGN, VERIFY, EXTRACTABLE, LOCAL = 0x103, 0x108, 0x10A, 0x162, 0x163
    NEVER_EXTRACTABLE, ALWAYS_SENSITIVE, EC_PARAMS, EC_POINT = 0x164, 0x165, 0x180, 0x181


class _Attribute(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_ulong),
        ("value", ctypes.c_void_p),
        ("length", ctypes.c_ulong),
    ]


class _Mechanism(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_ulong),
        ("parameter", ctypes.c_void_p),
        ("length", ctypes.c_ulong),
    ]


class Session:
    """A session with the token labelled `label`. Every method raises `Unavailable` where the
    module does, with the call and its return value."""

    def __init__(self, module: str, label: str) -> None:
        try:
            self._library: Any = ctypes.CDLL(module)
            self._call("C_Initialize", None)
        except OSError as error:
            raise Unavailable(f"the PKCS#11 module {module} does not load") from error
        self._label = label.encode()
        self._session = ctypes.c_ulong(0)

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
        slot, size = ctypes.c_ulong(free[0]), ctypes.c_ulong(len(officer_pin))
        self._call("C_InitToken", slot, officer_pin, size, padded)
        self._open()
        self._login(_SECURITY_OFFICER, officer_pin)
        self._call("C_InitPIN", self._session, pin, ctypes.c_ulong(len(pin)))
        self._call("C_CloseSession", self._session)

    def open(self, pin: bytes) -> None:
        """Open a session as the token's user. Raises `Rejected("wrong-pin")`."""
        self._open()
        self._login(_USER, pin)

    def close(self) -> None:
        """End every session, and the use of the module by this process."""
        self._call("C_Finalize", None)

    def generate_pair(
        self, mechanism: int, public: Attributes, private: Attributes
    ) -> tuple[int, int]:
        """A new pair of keys by `mechanism`; its handles, the private one last.

        Raises `Rejected("weak-token")` if the token does not promise that it stays inside.
        """
        how, made = _Mechanism(mechanism, None, 0), (ctypes.c_ulong(0), ctypes.c_ulong(0))
        inside = ((Attribute.PRIVATE, YES), (Attribute.SENSITIVE, YES), (Attribute.EXTRACTABLE, NO))
        private = (*private, *inside)
        self._call(
            "C_GenerateKeyPair", self._session, ctypes.byref(how),
            _template(public), ctypes.c_ulong(len(public)),
            _template(private), ctypes.c_ulong(len(private)),
            ctypes.byref(made[0]), ctypes.byref(made[1]),
        )  # fmt: skip
        for kind, wanted in (
            (Attribute.SENSITIVE, YES),
            (Attribute.EXTRACTABLE, NO),
            (Attribute.LOCAL, YES),
            (Attribute.ALWAYS_SENSITIVE, YES),
            (Attribute.NEVER_EXTRACTABLE, YES),
        ):
            if self.read(made[1].value, kind) != wanted:
                raise Rejected("weak-token", f"the token lets the key out (attribute {kind:#x})")
        return made[0].value, made[1].value

    def destroy(self, handle: int) -> None:
        """Remove an object for good."""
        self._call("C_DestroyObject", self._session, ctypes.c_ulong(handle))

    def sign_by(self, mechanism: int, handle: int, data: bytes) -> bytes:
        """What the private key `handle` makes of `data` by `mechanism`: the raw signature."""
        how = _Mechanism(mechanism, None, 0)
        self._call("C_SignInit", self._session, ctypes.byref(how), ctypes.c_ulong(handle))
        signature, length = ctypes.create_string_buffer(VALUE_BYTES), ctypes.c_ulong(VALUE_BYTES)
        size = ctypes.c_ulong(len(data))
        self._call("C_Sign", self._session, data, size, signature, ctypes.byref(length))
        return signature.raw[: length.value]

    def read(self, handle: int, kind: int) -> bytes:
        """One attribute of an object; a private key's value is refused by the token."""
        value = ctypes.create_string_buffer(VALUE_BYTES)
        wanted = (_Attribute * 1)(
            _Attribute(kind, ctypes.cast(value, ctypes.c_void_p), VALUE_BYTES)
        )
        handle_, one = ctypes.c_ulong(handle), ctypes.c_ulong(1)
        self._call("C_GetAttributeValue", self._session, handle_, wanted, one)
        return value.raw[: wanted[0].length]

    def find(self, wanted: Attributes) -> list[int]:
        """Handles of the objects with these attributes, of at most `MOST_OBJECTS`."""
        handles, count = (ctypes.c_ulong * MOST_OBJECTS)(), ctypes.c_ulong(0)
        template, length = _template(wanted), ctypes.c_ulong(len(wanted))
        self._call("C_FindObjectsInit", self._session, template, length)
        try:
            most = ctypes.c_ulong(MOST_OBJECTS)
            self._call("C_FindObjects", self._session, handles, most, ctypes.byref(count))
        finally:
            self._call("C_FindObjectsFinal", self._session)
        return list(handles[: count.value])

    def _open(self) -> None:
        slot = self._find()
        if slot is None:
            raise Unavailable(f"there is no token {self._label.decode(errors='replace')!r}")
        self._session = ctypes.c_ulong(0)
        session, flags = ctypes.byref(self._session), ctypes.c_ulong(_RW_SESSION)
        self._call("C_OpenSession", ctypes.c_ulong(slot), flags, None, None, session)

    def _login(self, user: int, pin: bytes) -> None:
        who, size = ctypes.c_ulong(user), ctypes.c_ulong(len(pin))
        self._call("C_Login", self._session, who, pin, size)

    def _find(self) -> int | None:
        for slot in self._slots():
            label, initialized = self._token(slot)
            if initialized and label == self._label:
                return slot
        return None

    def _slots(self) -> list[int]:
        slots, count = (ctypes.c_ulong * MOST_SLOTS)(), ctypes.c_ulong(MOST_SLOTS)
        self._call("C_GetSlotList", ctypes.c_ubyte(1), None, ctypes.byref(count))
        count = ctypes.c_ulong(MOST_SLOTS)
        self._call("C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
        return list(slots[: count.value])

    def _token(self, slot: int) -> tuple[bytes, bool]:
        info = ctypes.create_string_buffer(_TOKEN_INFO_BYTES)
        self._call("C_GetTokenInfo", ctypes.c_ulong(slot), info)
        flags = ctypes.c_ulong.from_buffer(info, _FLAGS_AT).value
        return info.raw[:_LABEL_BYTES].rstrip(b" \0"), bool(flags & _INITIALIZED)

    def _call(self, name: str, *arguments: object) -> None:
        try:
            function = getattr(self._library, name)
        except AttributeError as error:
            raise Unavailable(f"the PKCS#11 module has no {name}") from error
        function.restype = ctypes.c_ulong
        result = function(*arguments)
        if result != 0:
            raise _error(name, result)


def ulong(number: int) -> bytes:
    """A number as the value of an attribute."""
    return bytes(ctypes.c_ulong(number))


def _error(name: str, result: int) -> LimpetError:
    if name == "C_Login" and result in (_PIN_INCORRECT, _PIN_LENGTH):
        return Rejected("wrong-pin", "the token refuses the PIN")
    if name == "C_Login" and result == _PIN_LOCKED:
        return Rejected("pin-locked", "the token has locked its PIN after wrong tries")
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
