"""The cryptographic inventory of a tree: what its suite puts in force, and its roots of trust.

Owns which algorithm is used for what and by which files of the runtime. The suite is that of the
tree, not that of the machine that builds. A file that the tree does not have is never named.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography import x509

from limpet.crypto.suites import Suite, SuiteId, TlsUse, load_suite
from limpet.crypto.suites._types import CIPHERS
from limpet.errors import Rejected, naming
from limpet.release.sbom._algorithms import (
    ALGORITHMS,
    CIPHER_PARTS,
    GROUP_NAMES,
    SCHEME_NAMES,
    SIGNATURE_PARTS,
    Algorithm,
)
from limpet.storage import read_bounded

__all__ = [
    "Certificate",
    "CryptoInventory",
    "Held",
    "Protocol",
    "PublicKey",
    "Used",
    "take_inventory",
]

SUITES = "runtime/limpet/crypto/suites"
_TRUST_BYTES = 1 << 20
_CERTIFICATES = ("device-root.pem", "service-root.pem")
_LIMPET = "runtime/limpet"
_TLS = f"{_LIMPET}/crypto/tls.py"

# Which files do it, by what it is for.
PLACES = {
    TlsUse.LOCAL: (_TLS, f"{_LIMPET}/device/gateway/front.py"),
    TlsUse.VENDOR: (
        _TLS,
        f"{_LIMPET}/device/updater/role.py",
        f"{_LIMPET}/device/keeper/_serving.py",
    ),
    TlsUse.OUTBOUND: (_TLS, f"{_LIMPET}/device/app/_outbound.py"),
}
CERTIFICATES = tuple(f"{_LIMPET}/crypto/{name}.py" for name in ("chains", "policy", "requests"))
FIRMWARE = (f"{_LIMPET}/firmware/signatures.py", f"{_LIMPET}/device/updater/metadata.py")
PASSWORDS = (f"{_LIMPET}/crypto/passwords.py",)
_CONTENT = "images, deltas and trees"
_VERIFIERS = "verifiers of tokens and codes of full entropy"
_ONE_TIME_CODES = ("one-time codes (RFC 6238)", f"{_LIMPET}/device/accounts/second_factor.py")
# What no suite chooses: the code itself says it.
FIXED = {
    "SHA-256": (
        (_CONTENT, f"{_LIMPET}/firmware/image.py"),
        (_CONTENT, f"{_LIMPET}/firmware/delta.py"),
        (_CONTENT, f"{_LIMPET}/firmware/tree.py"),
        ("block slots (dm-verity)", f"{_LIMPET}/firmware/verity.py"),
        (_VERIFIERS, f"{_LIMPET}/device/accounts/tokens.py"),
        (_VERIFIERS, f"{_LIMPET}/device/accounts/claim.py"),
    ),
    "HMAC-SHA-256": (
        ("names in the throttle's table", f"{_LIMPET}/device/accounts/throttle.py"),
        ("recent wrong guesses", f"{_LIMPET}/device/accounts/guard.py"),
    ),
    "HMAC-SHA-1": (_ONE_TIME_CODES,),
    "SHA-1": (_ONE_TIME_CODES,),
    "getrandom(2)": (("every secret", f"{_LIMPET}/crypto/randomness.py"),),
}
# What a device makes for itself: name, kind, purpose, file.
HELD = (
    ("IDevID key", "private-key", "the device's permanent identity (IEEE 802.1AR)",
     f"{_LIMPET}/device/keeper/_store.py"),
    ("LDevID key", "private-key", "the device's TLS, certified for 30 days over EST (RFC 7030)",
     f"{_LIMPET}/device/gateway/certificate.py"),
    ("household key", "private-key", "TLS under the owner's own authority (RFC 5280, 4.2.1.10)",
     f"{_LIMPET}/device/gateway/household.py"),
)  # fmt: skip


@dataclass(slots=True)
class Used:
    """An algorithm, what it is used for, and where."""

    algorithm: Algorithm
    purposes: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    parameters: str = ""

    @property
    def reference(self) -> str:
        """Its bom-ref."""
        return algorithm_reference(self.algorithm.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """TLS as one kind of peer gets it."""

    use: TlsUse
    ciphers: tuple[tuple[str, int, tuple[str, ...]], ...]  # name, number of IANA, references
    algorithms: tuple[str, ...]  # references of groups and signatures
    places: tuple[str, ...]

    @property
    def reference(self) -> str:
        """Its bom-ref."""
        return f"crypto/protocol/tls-1.3/{self.use.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that the tree trusts."""

    path: str
    certificate: x509.Certificate
    signature: str  # reference of an algorithm; empty: one that is not in the table

    @property
    def reference(self) -> str:
        """Its bom-ref."""
        return f"crypto/certificate/{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key that the tree trusts for a role of TUF metadata."""

    key_id: str
    roles: tuple[str, ...]
    algorithm: str  # reference

    @property
    def reference(self) -> str:
        """Its bom-ref."""
        return f"crypto/key/{self.key_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A key that a device makes, and that no image holds."""

    name: str
    kind: str
    purpose: str
    place: str
    algorithm: str  # reference

    @property
    def reference(self) -> str:
        """Its bom-ref."""
        return f"crypto/key/{self.name.lower().replace(' ', '-')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CryptoInventory:
    """All of a tree's cryptography that can be told."""

    suite: SuiteId
    algorithms: tuple[Used, ...]
    protocols: tuple[Protocol, ...]
    certificates: tuple[Certificate, ...]
    keys: tuple[PublicKey, ...]
    held: tuple[Held, ...]


def algorithm_reference(name: str) -> str:
    """The bom-ref of an algorithm of the table."""
    return f"crypto/algorithm/{name.lower().replace(' ', '-')}"


def take_inventory(tree: Path) -> CryptoInventory:
    """The inventory of `tree`. Raises `Rejected("not-firmware" | "bad-suite")` if it has not
    exactly one suite, or trusts what cannot be read."""
    files = sorted((tree / SUITES).glob("*.toml"))
    if len(files) != 1:
        raise Rejected("not-firmware", f"{tree / SUITES} holds {len(files)} suites, and not one")
    suite = load_suite(files[0])
    used: dict[str, Used] = {}

    def note(name: str, purpose: str, *places: str) -> str:
        entry = used.setdefault(name, Used(ALGORITHMS[name]))
        entry.purposes.add(purpose)
        entry.places |= set(_there(tree, places))
        return entry.reference

    protocols = tuple(_protocol(tree, suite, use, note) for use in TlsUse)
    _note_others(suite, note)
    costs = suite.passwords
    stated = f"memory {costs.memory_kib} KiB, {costs.passes} passes, {costs.lanes} lanes"
    used["Argon2id"].parameters = stated
    keys = tuple(_keys(tree, note))
    certificates = tuple(_certificates(tree, used))
    curve = note(SCHEME_NAMES[suite.certificates.curves[0]], "keys made on the device")
    return CryptoInventory(
        suite=suite.id,
        algorithms=tuple(used[name] for name in sorted(used)),
        protocols=protocols,
        certificates=certificates,
        keys=keys,
        held=tuple(
            Held(name=name, kind=kind, purpose=purpose, place=place, algorithm=curve)
            for name, kind, purpose, place in HELD
            if _there(tree, (place,))
        ),
    )


Note = Callable[..., str]


def _there(tree: Path, places: Iterable[str]) -> tuple[str, ...]:
    """Those of `places` that the tree has."""
    return tuple(place for place in places if (tree / place).is_file())


def _protocol(tree: Path, suite: Suite, use: TlsUse, note: Note) -> Protocol:
    rules, places, purpose = suite.tls_rules(use), PLACES[use], f"TLS 1.3, {use.value}"
    algorithms = [
        note(name, purpose, *places)
        for table, names in ((GROUP_NAMES, rules.groups), (SIGNATURE_PARTS, rules.signatures))
        for one in names
        for name in table[one]
    ]
    ciphers = tuple(
        (one, CIPHERS[one], tuple(note(name, purpose, *places) for name in CIPHER_PARTS[one]))
        for one in rules.ciphers
    )
    return Protocol(
        use=use,
        ciphers=ciphers,
        algorithms=tuple(sorted(set(algorithms))),
        places=_there(tree, places),
    )


def _note_others(suite: Suite, note: Note) -> None:
    rules = suite.certificates
    for name in (*rules.hashes, *rules.curves, *rules.edwards):
        note(SCHEME_NAMES[name], "certificates", *CERTIFICATES)
    for purpose, families in (
        ("signatures of firmware metadata (offline roles)", suite.firmware.offline),
        ("signatures of firmware metadata (online roles)", suite.firmware.online),
    ):
        for scheme in (scheme for family in families for scheme in family):
            note(SCHEME_NAMES[scheme], purpose, *FIRMWARE)
    note("Argon2id", f"passwords ({suite.passwords.profile})", *PASSWORDS)
    for fixed, uses in FIXED.items():
        for purpose, place in uses:
            note(fixed, purpose, place)


def _certificates(tree: Path, used: dict[str, Used]) -> Iterator[Certificate]:
    for name in _CERTIFICATES:
        path = f"trust/{name}"
        with naming(path):
            try:
                found = x509.load_pem_x509_certificate(
                    read_bounded(tree / path, max_bytes=_TRUST_BYTES)
                )
                oid = found.signature_algorithm_oid.dotted_string
            except ValueError as error:
                raise Rejected("not-firmware", f"not a certificate: {error}"[:200]) from error
        signed = [one.reference for one in used.values() if one.algorithm.oid == oid]
        yield Certificate(path=path, certificate=found, signature="".join(signed[:1]))


class _Key(msgspec.Struct, frozen=True):
    scheme: str


class _Role(msgspec.Struct, frozen=True):
    keyids: list[str]


class _Signed(msgspec.Struct, frozen=True):
    keys: dict[str, _Key]
    roles: dict[str, _Role]


class _Root(msgspec.Struct, frozen=True):
    """Of a TUF root, what its keys are for."""

    signed: _Signed


def _keys(tree: Path, note: Note) -> Iterator[PublicKey]:
    """The keys of the root of trust (TUF 1.0, 4.3)."""
    data = read_bounded(tree / "trust" / "root.json", max_bytes=_TRUST_BYTES)
    try:
        root = msgspec.json.decode(data, type=_Root).signed
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("not-firmware", f"trust/root.json is no root of trust: {error}") from error
    for key_id, key in sorted(root.keys.items()):
        if key.scheme not in SCHEME_NAMES:
            raise Rejected("not-firmware", f"trust/root.json: a key of scheme {key.scheme[:40]!a}")
        roles = tuple(sorted(name for name, role in root.roles.items() if key_id in role.keyids))
        purpose = "keys of the root of trust"
        algorithm = note(SCHEME_NAMES[key.scheme], purpose, *FIRMWARE)
        yield PublicKey(key_id=key_id, roles=roles, algorithm=algorithm)
