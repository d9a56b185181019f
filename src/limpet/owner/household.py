"""The owner's own authority for browsers, and the certificates that it gives to devices.

Owns `household/` in the store: the authority's certificate and its key (0600), which never leaves
the owner's machine and can speak for nothing but a home (`limpet.crypto.certificates.
make_household`). A device's key stays on the device: it sends a request, and gets a certificate.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec
from cryptography import x509

from limpet.crypto.certificates import Issuer, issue_household, load_issuer, make_household
from limpet.crypto.chains import load_certificates
from limpet.crypto.household import verify_constrained
from limpet.crypto.keys import key_to_pem
from limpet.crypto.names import (
    HOME_NETWORKS,
    Network,
    home_name,
    own_name,
    verify_home_address,
    verify_home_name,
)
from limpet.crypto.requests import verify_request
from limpet.errors import Rejected
from limpet.owner.answers import HouseholdAnswer, HouseholdRequestAnswer, parse_answer
from limpet.owner.client import DeviceClient
from limpet.owner.store import DeviceRecord, HouseholdRecord, Store
from limpet.storage import make_directory, read_bounded, remove_durably, write_atomic

__all__ = [
    "LIFE",
    "destroy_authority",
    "give_household",
    "hosts_of",
    "is_due",
    "load_authority",
    "open_authority",
    "renew_when_due",
    "take_household",
]

LIFE = timedelta(days=180)
RENEW_LEFT = LIFE / 3
FILE_BYTES = 64 << 10
_CERTIFICATE, _KEY = "authority.pem", "authority-key.pem"


def open_authority(
    store: Store, *, owner: str, networks: Sequence[Network] | None, now: datetime
) -> Issuer:
    """The household's authority, made at the first call; durable on return.

    `networks` says for which addresses a new one may speak, by default for all of a home.
    Raises `Rejected("authority-exists")` if there is one and it is asked for others.
    """
    if (store.household / _CERTIFICATE).exists():
        if networks is not None:
            raise Rejected(
                "authority-exists",
                "this household's authority is made already, with networks of its own",
                hint="limpet owner trust forget makes room for a new one",
            )
        return load_authority(store)
    name = f"limpet household of {owner}"
    made = make_household(name, networks=networks or HOME_NETWORKS, now=now)
    make_directory(store.household, mode=0o700)
    # The key first: a certificate without one would be taken for an authority that is there.
    write_atomic(store.household / _KEY, key_to_pem(made.key), mode=0o600)
    write_atomic(store.household / _CERTIFICATE, made.certificate_pem(), mode=0o644)
    return made


def load_authority(store: Store) -> Issuer:
    """The authority that is there, held to a home's names. Raises `Rejected("no-authority" |
    "unconstrained" | "bad-record")`."""
    if not (store.household / _CERTIFICATE).exists():
        raise Rejected(
            "no-authority", "this household has no authority yet", hint="limpet owner trust"
        )
    key_path = store.household / _KEY
    store.verify_private(key_path)
    found = load_issuer(
        read_bounded(store.household / _CERTIFICATE, max_bytes=FILE_BYTES),
        read_bounded(key_path, max_bytes=FILE_BYTES),
    )
    verify_constrained(found.certificate)
    return found


def destroy_authority(store: Store) -> None:
    """Its key first; what it issued is good until it ends, or until the owner distrusts it."""
    if store.household.exists():
        for name in (_KEY, _CERTIFICATE):
            remove_durably(store.household / name)


def give_household(
    store: Store,
    record: DeviceRecord,
    client: DeviceClient,
    authority: Issuer,
    *,
    wanted: HouseholdRecord | None = None,
    now: datetime,
) -> DeviceRecord:
    """Give the device a certificate of the household; the record that remembers it.

    1. the device's request, with the key that it keeps; 2. it is the device that the pinned
    connection proved; 3. the names: its own two, those that the owner `wanted` (by default as
    the last time), and the addresses at which it is reached; 4. the device checks and serves it;
    5. it is remembered. Cut off before 5., the next renewal does it again.
    """
    asked = client.request("POST", "/v1/household/request")  # 1.
    told = parse_answer(msgspec.json.encode(asked), HouseholdRequestAnswer)
    request = verify_request(told.csr_pem.encode())
    if request.serial != record.serial:  # 2.
        raise Rejected("wrong-device", "the device asks for a certificate of another device")
    before = wanted or record.household or HouseholdRecord()  # 3.
    hostnames = [own_name(record.serial), home_name(record.serial)]
    hostnames += [verify_home_name(name) for name in before.hostnames]
    addresses = [verify_home_address(address) for address in before.addresses]
    for address in addresses:
        if not _is_permitted(authority, address):
            raise Rejected("foreign-name", f"this household's authority is not for {address}")
    implied = [*request.addresses, *_address_of(record)]
    addresses += [one for one in implied if _is_permitted(authority, one)]
    chain = issue_household(
        authority,
        request,
        now=now,
        lifetime=LIFE,
        hostnames=tuple(dict.fromkeys(hostnames)),
        addresses=tuple(dict.fromkeys(addresses)),
    )
    answer = client.request("PUT", "/v1/household", {"chain_pem": chain.decode()})  # 4.
    shown = parse_answer(msgspec.json.encode(answer), HouseholdAnswer)
    kept: DeviceRecord = msgspec.structs.replace(  # 5.
        record,
        household=msgspec.structs.replace(
            before, until=load_certificates(chain)[0].not_valid_after_utc, shown=shown.addresses
        ),
    )
    store.save(kept)
    return kept


def take_household(store: Store, record: DeviceRecord, client: DeviceClient) -> None:
    """Have the device forget certificate and key."""
    client.request("DELETE", "/v1/household")
    store.save(msgspec.structs.replace(record, household=None))


def is_due(record: DeviceRecord, now: datetime) -> bool:
    """Whether the device's certificate should be renewed: it ends soon, or the device moved."""
    given = record.household
    if given is None or given.until is None:
        return False
    moved = any(address not in given.shown for address in _address_of(record))
    return moved or given.until - now < RENEW_LEFT


def renew_when_due(
    store: Store, record: DeviceRecord, client: DeviceClient, *, now: datetime
) -> DeviceRecord:
    """Renew the device's certificate if it is due; `record` otherwise.

    Raises `LimpetError` where it is due and cannot be done (an account that is not the owner's).
    """
    if not is_due(record, now):
        return record
    return give_household(store, record, client, load_authority(store), now=now)


def hosts_of(record: DeviceRecord) -> tuple[str, ...]:
    """By what a browser reaches the device without a warning, ready for a URL."""
    given = record.household
    if given is None:
        return ()
    names = (own_name(record.serial), home_name(record.serial), *given.hostnames)
    addresses = (f"[{one}]" if ":" in one else one for one in given.shown)
    return tuple(dict.fromkeys((*names, *addresses)))


def _address_of(record: DeviceRecord) -> tuple[str, ...]:
    """The address by which the owner reaches the device, if it is one of a home."""
    try:
        return (verify_home_address(urlsplit(record.url).hostname or ""),)
    except Rejected:
        return ()


def _is_permitted(authority: Issuer, address: str) -> bool:
    extensions = authority.certificate.extensions
    constraints = extensions.get_extension_for_class(x509.NameConstraints).value
    networks = [
        one.value for one in constraints.permitted_subtrees or () if isinstance(one, x509.IPAddress)
    ]
    return any(ip_address(address) in network for network in networks)  # type: ignore[operator]
