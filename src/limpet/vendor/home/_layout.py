"""Where everything of a vendor lies, and the settings that were fixed when it was made.

Owns names of files and directories. Never reads a key, and never makes anything.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from limpet.crypto.attesting import PublicKey, public_keys_from_pem
from limpet.crypto.suites import Suite, load_suite, suite_file_in
from limpet.errors import Rejected, Unavailable
from limpet.storage import read_bounded
from limpet.wire.attestation import GATE_KEYS_FILE
from limpet.wire.codec import Message, decode_json
from limpet.wire.release import ModelName

__all__ = [
    "FORMER_FILE",
    "GATE_KEY_FILE",
    "LOCAL_ADDRESSES",
    "REGISTER_FILE",
    "SERVICE_DAYS",
    "SETTINGS_BYTES",
    "SETTINGS_FILE",
    "Home",
    "Settings",
    "key_file",
    "open_home",
    "staging_of",
    "verify_hostname",
]

SERVICE_DAYS = 365  # of the service's certificate; renewing it takes the offline drawer
LOCAL_ADDRESSES = ("127.0.0.1", "::1")  # that it is valid for, beside its names
SETTINGS_BYTES = 64 << 10
_GATE_KEYS_BYTES = 16 << 10
SETTINGS_FILE = "vendor.json"
REGISTER_FILE = "manufactured.sqlite"
FORMER_FILE = "former-operational-cas.pem"  # in online/, once the operational CA was replaced
GATE_KEY_FILE = "gate.pem"
HOSTNAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}\Z")
DEFAULT_CERTIFICATE_LIFETIME = 30 * 86400
CertificateLifetime = Annotated[int, Meta(ge=60, le=366 * 86400)]


class Settings(Message, frozen=True, kw_only=True):
    """`online/vendor.json`: what the service was set up for."""

    spec: Literal["limpet-vendor-1"] = "limpet-vendor-1"
    maker: Annotated[str, Meta(min_length=1, max_length=64)]
    model: ModelName  # that it was made for
    others: tuple[ModelName, ...] = ()  # that came later: `limpet vendor model add`
    hostnames: tuple[str, ...]  # of the service's own certificate; the first is canonical
    created_at: datetime  # UTC
    # Of an LDevID:
    certificate_lifetime_seconds: CertificateLifetime = DEFAULT_CERTIFICATE_LIFETIME

    @property
    def models(self) -> tuple[str, ...]:
        """All models, in the order in which they came."""
        return (self.model, *self.others)


@dataclass(frozen=True, slots=True)
class Home:
    """A vendor's directory that is complete, with one of its models in view."""

    root: Path
    settings: Settings
    view: str = ""  # a model; empty: the one that the vendor was made for

    @property
    def model(self) -> str:
        """The model in view."""
        return self.view or self.settings.model

    def of(self, model: str) -> "Home":
        """The same vendor with `model` in view. Raises `Rejected("unknown-model")`."""
        if model not in self.settings.models:
            known = ", ".join(self.settings.models)
            raise Rejected(
                "unknown-model",
                f"this vendor has no model {model[:64]!r}; it has {known}",
                hint="limpet vendor model add makes it known",
            )
        return replace(self, view=model)

    def choose(self, model: str) -> "Home":
        """As `of`; without a `model`, the only one. Raises `Rejected("which-model")` too."""
        if model or len(self.settings.models) == 1:
            return self.of(model or self.settings.model)
        known = ", ".join(self.settings.models)
        raise Rejected("which-model", f"this vendor has {known}", hint="say which: --model NAME")

    @property
    def offline(self) -> Path:
        """The drawer: keys of root, targets, releases and the roots of both PKIs."""
        return self.root / "offline"

    @property
    def factory(self) -> Path:
        """The station's: the authority that issues IDevIDs, and what it made."""
        return self.root / "factory"

    @property
    def gate(self) -> Path:
        """The key of the gate, for where releases are judged; empty: this vendor has none."""
        return self.root / "gate"

    @property
    def gate_keys(self) -> tuple[PublicKey, ...]:
        """Whose word on a release counts; none: releases need no gate. Raises `Rejected`."""
        file = self.trust / GATE_KEYS_FILE
        if not file.exists():
            return ()
        return public_keys_from_pem(read_bounded(file, max_bytes=_GATE_KEYS_BYTES))

    @property
    def online(self) -> Path:
        """The service's: keys that may schedule and enroll, settings, database."""
        return self.root / "online"

    @property
    def public(self) -> Path:
        """Plain files for everybody."""
        return self.root / "public"

    @property
    def repository(self) -> Path:
        """The TUF repository and the images."""
        return self.public / "repository"

    @property
    def mud(self) -> Path:
        """The signed MUD file, as `limpet product mud --out` leaves it."""
        return self.public / "mud"

    @property
    def trust(self) -> Path:
        """What goes into firmware: root.json, the two roots, gate.pem, suite.toml."""
        return self.root / "trust"

    @property
    def firmware_suite(self) -> Suite:
        """The algorithms of the next firmware. Raises `Rejected("bad-suite")`."""
        return load_suite(suite_file_in(self.trust))

    @property
    def service_suite(self) -> Suite:
        """The algorithms that the service keeps to: those of the oldest firmware in the field."""
        return load_suite(suite_file_in(self.online))

    @property
    def suites(self) -> tuple[Suite, ...]:
        """What published metadata is held to: both."""
        return self.firmware_suite, self.service_suite

    @property
    def product_file(self) -> Path:
        """The service's own copy of the model's design file."""
        return self.online / self._product_name

    @property
    def factory_product_file(self) -> Path:
        """The station's own copy of the model's design file."""
        return self.factory / self._product_name

    @property
    def _product_name(self) -> str:
        first = self.model == self.settings.model
        return "product.toml" if first else f"product-{self.model}.toml"

    @property
    def database(self) -> Path:
        """Devices, certificates, reports, rollouts."""
        return self.online / "limpet.sqlite"


def open_home(directory: Path) -> Home:
    """The vendor in `directory`.

    Raises `Unavailable` if there is none (or only one whose making was cut off), `Rejected` if
    its settings are damaged.
    """
    file = directory / "online" / SETTINGS_FILE
    if not file.exists():
        raise Unavailable(f"{directory} is not a vendor's directory", hint=_advice(directory))
    try:
        settings = decode_json(
            read_bounded(file, max_bytes=SETTINGS_BYTES), Settings, max_bytes=SETTINGS_BYTES
        )
    except Rejected as error:
        raise Rejected(
            "bad-settings", f"{file}: {error.message}", hint="restore the file from a backup"
        ) from error
    return Home(root=directory, settings=settings)


def key_file(directory: Path, stem: str, scheme: str) -> Path:
    """The file of a signing key: `tuf-root.pem` for Ed25519, `tuf-root-ml-dsa-65.pem` and so on."""
    kind = "" if scheme == "ed25519" else f"-{scheme.partition('/')[0]}"
    return directory / f"{stem}{kind}.pem"


def verify_hostname(name: str) -> None:
    """Raise `Rejected("bad-hostname")` unless `name` is a DNS name in small letters."""
    if not HOSTNAME.match(name):
        raise Rejected(
            "bad-hostname",
            f"{name!r} is not a host name",
            hint="write it as updates.vendor.example: small letters, digits, hyphens and dots",
        )


def staging_of(directory: Path) -> Path:
    """Where a directory is made before it gets its name."""
    return directory.parent / f".{directory.name}.part"


def _advice(directory: Path) -> str:
    command = f"limpet vendor init {directory} --product PRODUCT"
    if staging_of(directory).exists():
        return f"its making was cut off; make it anew: {command}"
    return f"make one: {command}"
