"""The factory station: gives a device its name, signs its key, draws its label.

Owns the factory CA's use and the order of making one device. The device makes its
own key and claim code; the station never sees the former, and passes the latter
to the label without keeping it.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from limpet.crypto.certificates import Issuer, issue_device_identity, load_issuer
from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import pin_text, spki_sha256
from limpet.crypto.randomness import new_claim_code
from limpet.crypto.requests import Purpose, VerifiedRequest, verify_request
from limpet.errors import Rejected, Unavailable, naming
from limpet.firmware.devices import SlotDevices
from limpet.firmware.image import range_reader
from limpet.firmware.installation import install_image
from limpet.firmware.slots import BOOT_FILE, SlotRecord, factory_state, save_boot_state
from limpet.product import Product, load_product, mud_url
from limpet.product.label import Label
from limpet.storage import make_directory, read_bounded, sync_directory, write_atomic
from limpet.vendor.factory.blocks import (
    SLOT_IMAGE,
    close_slot,
    fill_slot,
    point_at,
    verify_form,
)
from limpet.vendor.factory.console import open_console
from limpet.vendor.factory.floor import load_first_floor
from limpet.vendor.factory.label import render_pdf, render_svg
from limpet.vendor.factory.register import Register
from limpet.vendor.factory.sheets import render_png
from limpet.vendor.home import REGISTER_FILE, Home
from limpet.wire.codec import decode_json
from limpet.wire.factory import CertificateRequest, Identify, InstallIdentity, Manufactured
from limpet.wire.keystore import KEYSTORE_FILE, SOFTWARE, KeyStoreSettings, encode_key_store
from limpet.wire.release import MANIFEST_BYTES, ReleaseManifest

__all__ = ["FactoryImage", "MadeDevice", "Station", "load_factory_image"]

AT_ONCE = 2
"""Devices that are made at the same time."""

MOST_AT_ONE_GO = 10_000
_SERIAL_TRIES = 5
_PEM_BYTES = 64 << 10
_ADVICE = "restore factory/ and trust/ from a backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoryImage:
    """What `limpet release build` made: a manifest, and the image that it describes."""

    manifest: ReleaseManifest
    manifest_sha256: str
    image: Path


class MadeDevice(msgspec.Struct, frozen=True, kw_only=True):
    """One finished device. The label files hold the claim code and go to the printer."""

    serial: str
    directory: str
    label_svg: str
    label_pdf: str
    label_png: str
    label_text: str  # a file with what the QR code says
    slot_image: str = ""  # a file to write onto device a, where slots are block devices


def load_factory_image(directory: Path) -> FactoryImage:
    """The release in `directory`. Raises `Unavailable`, `Rejected`."""
    file = directory / "manifest.json"
    with naming(file, hint="name a release: limpet release build … --out DIR makes one"):
        data = read_bounded(file, max_bytes=MANIFEST_BYTES)
        manifest = decode_json(data, ReleaseManifest, max_bytes=MANIFEST_BYTES)
    digest = hashlib.sha256(data).hexdigest()
    return FactoryImage(manifest=manifest, manifest_sha256=digest, image=directory / "image.img")


class Station:
    """A factory station of the vendor in `home`. `clock` gives the time in UTC."""

    def __init__(self, home: Home, *, clock: Callable[[], datetime]) -> None:
        factory, self._home = home.factory, home
        with naming(factory / "factory-ca.pem and .key", hint=_ADVICE):
            self._issuer: Issuer = load_issuer(
                read_bounded(factory / "factory-ca.pem", max_bytes=_PEM_BYTES),
                read_bounded(factory / "factory-ca.key", max_bytes=_PEM_BYTES),
            )
        self._product: Product = load_product(home.factory_product_file)
        self._register = Register(factory / REGISTER_FILE)
        trust = home.trust / "device-root.pem"
        with naming(trust, hint=_ADVICE):
            self._root_pem = read_bounded(trust, max_bytes=_PEM_BYTES)
            self._root_pin = pin_text(spki_sha256(load_certificates(self._root_pem)[0]))
        self._suite = home.firmware_suite
        self._clock = clock

    def make(
        self,
        image: FactoryImage,
        out: Path,
        *,
        count: int,
        hardware_revision: str | None = None,
        key_store: KeyStoreSettings = SOFTWARE,
        devices: SlotDevices | None = None,
    ) -> Iterator[MadeDevice]:
        """Make `count` devices below `out`, in the order in which they were begun.

        With `devices`, their slots are these, from a block image; else directories.

        Raises `Rejected` for an image or revision that does not fit the product, and whatever
        stops one device; those that are finished stay.
        """
        revision = hardware_revision or self._product.model.hardware_revisions[0]
        self._verify_order(image, revision, count)
        verify_form(image.manifest.image, devices)
        make_directory(out)
        make_directory(out / "labels")
        with ThreadPoolExecutor(AT_ONCE if devices is None else 1) as workers:
            one = partial(self.make_one, image, out, revision, key_store=key_store, devices=devices)
            work = workers.map(lambda _: one(), range(count))
            try:
                yield from work
            finally:
                workers.shutdown(wait=True, cancel_futures=True)

    def make_one(
        self,
        image: FactoryImage,
        out: Path,
        revision: str,
        *,
        key_store: KeyStoreSettings = SOFTWARE,
        devices: SlotDevices | None = None,
    ) -> MadeDevice:
        """Make one device; on any error nothing of it is left but its spent serial number."""
        serial = self._reserve(revision)
        directory = out / serial.lower()
        try:
            make_directory(directory)
            _install(image, directory, devices)
            write_atomic(directory / KEYSTORE_FILE, encode_key_store(key_store), mode=0o644)
            try:
                label = self._converse(image, directory, serial, revision)
            finally:
                if devices is not None:
                    close_slot(directory)
            if devices is not None:
                point_at(devices, directory)
            made = _print_label(label, out / "labels", directory)
        except BaseException:
            self._register.failed(serial)
            shutil.rmtree(directory, ignore_errors=True)
            raise
        self._register.finished(serial, firmware_version=image.manifest.version, at=self._clock())
        return made

    def _verify_order(self, image: FactoryImage, revision: str, count: int) -> None:
        manifest, model = image.manifest, self._product.model
        if not 1 <= count <= MOST_AT_ONE_GO:
            raise Rejected("bad-count", f"make 1 to {MOST_AT_ONE_GO} devices at one go")
        if manifest.model != model.name:
            raise Rejected(
                "wrong-model", f"the image is for {manifest.model}, this factory makes {model.name}"
            )
        if revision not in model.hardware_revisions:
            known = ", ".join(model.hardware_revisions)
            raise Rejected("wrong-hardware", f"no hardware revision {revision}; there is {known}")
        if revision not in manifest.hardware_revisions:
            raise Rejected("wrong-hardware", f"the image is not for hardware revision {revision}")

    def _verify_trust(self, image: FactoryImage, slot: Path) -> None:
        """A device that trusts another root could not be given an identity."""
        file = slot / "trust" / "device-root.pem"
        if not file.is_file() or read_bounded(file, max_bytes=_PEM_BYTES) != self._root_pem:
            raise Rejected(
                "wrong-vendor",
                f"{image.image.parent} was built for another vendor: it trusts another device root",
                hint="build it with --trust of this vendor: limpet release build … --trust DIR",
            )

    def _reserve(self, revision: str) -> str:
        model = self._product.model.name
        letters = "".join(letter for letter in model.upper() if letter.isalpha())[:2] or "DV"
        for _ in range(_SERIAL_TRIES):
            serial = f"{letters}-{new_claim_code().replace('-', '')[:8]}"
            if self._register.reserve(
                serial, model=model, hardware_revision=revision, at=self._clock()
            ):
                return serial
        raise Unavailable("no free serial number was found", hint="is the register damaged?")

    def _converse(self, image: FactoryImage, directory: Path, serial: str, revision: str) -> Label:
        with open_console(directory, errors=directory / "factory.log") as console:
            console.say(
                Identify(
                    model=self._product.model.name,
                    hardware_revision=revision,
                    serial=serial,
                    manufactured_at=self._clock(),
                    seen=load_first_floor(self._home),
                )
            )
            csr = console.expect(CertificateRequest).csr_pem
            self._verify_trust(image, directory / "slots" / "a")  # boot has opened it
            chain = issue_device_identity(
                self._issuer,
                self._verify(csr, serial),
                now=self._clock(),
                suite=self._suite,
                mud_url=mud_url(self._product) if self._product.vendor.hosts else "",
            )
            leaf = load_certificates(chain)[0].public_bytes(Encoding.DER)
            self._register.signed(serial, hashlib.sha256(leaf).hexdigest())
            console.say(InstallIdentity(chain_pem=chain.decode("ascii")))
            code = console.expect(Manufactured).claim_code
            console.finish()
        (directory / "factory.log").unlink(missing_ok=True)
        return Label(
            maker=self._product.maker.name,
            model=self._product.model.display_name,
            hardware_revision=revision,
            serial=serial,
            claim_code=code,
            support_contact=self._product.security_contact.contacts[0].removeprefix("mailto:"),
            root_pin=self._root_pin,
        )

    def _verify(self, csr_pem: str, serial: str) -> VerifiedRequest:
        request = verify_request(csr_pem.encode("ascii", "replace"), suite=self._suite)
        if (request.model, request.serial) != (self._product.model.name, serial):
            raise Rejected("not-mine", "the device's request names another device")
        if request.purpose is not Purpose.CLIENT:
            raise Rejected("wrong-purpose", "the device's request is not for an identity")
        return request


def _install(image: FactoryImage, directory: Path, devices: SlotDevices | None = None) -> None:
    """Fill slot a and write boot's first record, both durable."""
    slots = make_directory(directory / "slots", mode=0o755)
    manifest = image.manifest
    with naming(image.image, hint="it is damaged: build the release again"):
        read = range_reader(image.image)
        if devices is None:
            install_image(manifest.image, read, slots / "a", journal=slots / "a.journal")
        else:
            fill_slot(manifest.image, read, directory)
    record = SlotRecord(
        version=manifest.version,
        manifest_sha256=image.manifest_sha256,
        tree_sha256=manifest.image.tree_sha256,
        security_counter=manifest.security_counter,
        verity=manifest.image.verity,
    )
    save_boot_state(slots / BOOT_FILE, factory_state(record))
    sync_directory(directory)


def _print_label(label: Label, labels: Path, directory: Path) -> MadeDevice:
    """The label as files for the printer, readable by the station's user alone."""
    stem = labels / label.serial
    svg, pdf, png, text = (stem.with_suffix(x) for x in (".svg", ".pdf", ".png", ".txt"))
    write_atomic(svg, render_svg(label))
    write_atomic(pdf, render_pdf([label]))
    write_atomic(png, render_png(label))
    write_atomic(text, f"{label.uri()}\n".encode("ascii"))
    return MadeDevice(
        serial=label.serial,
        directory=str(directory),
        label_svg=str(svg),
        label_pdf=str(pdf),
        label_png=str(png),
        label_text=str(text),
        slot_image=str(flashed) if (flashed := directory / SLOT_IMAGE).exists() else "",
    )
