"""People who sign, each in a directory of their own, and a vendor that none of them holds alone."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from securesystemslib.signer import Signer
from tests.release.workshop import EXAMPLE
from tests.vendor.workshop import ANY_STEP, make_manifest

from limpet.crypto.keys import generate_signing_key, key_to_pem
from limpet.crypto.suites import Suite
from limpet.firmware.image import pack_file
from limpet.release import (
    METADATA_FILE,
    SigningOrder,
    draft_release,
    load_public_key,
    make_key,
    open_signer,
    publish,
)
from limpet.release.ceremony import (
    Holders,
    Opened,
    load_request,
    merge_requests,
    propose_holders,
    request_release,
    save_request,
    sign_request,
    verify_subject,
)
from limpet.vendor.home import Home, create
from limpet.vendor.repository import Repository
from limpet.vendor.repository.holders import publish_holders
from limpet.wire.codec import encode_json
from limpet.wire.release import Bounds

FAMILIES = ("ed25519", "ml-dsa-65/1")
ROLES = ("root", "targets", "releases/thermostat")


def now() -> datetime:
    return datetime.now(UTC)


def silent(opened: Opened) -> None:
    """Whoever is asked says yes."""


def no_secret(name: str) -> bytes:
    raise AssertionError(f"{name} was not expected to be locked")


@dataclass(frozen=True)
class Person:
    """One signer: keys, a root of trust and a memory, in a directory that nobody else reads."""

    directory: Path

    @property
    def root(self) -> Path:
        return self.directory / "root.json"

    @property
    def keys(self) -> list[Path]:
        return sorted(
            file
            for file in self.directory.glob("*.pem")
            if not file.name.endswith((".pub.pem", "gate.pem"))
        )

    @property
    def public(self) -> list[Path]:
        return sorted(self.directory.glob("*.pub.pem"))

    @property
    def ids(self) -> list[str]:
        return [load_public_key(file).keyid for file in self.public]

    def signers(self, suite: Suite | None = None) -> list[Signer]:
        return [
            open_signer(str(key), passphrase=no_secret, pin=no_secret, suite=suite)
            for key in self.keys
        ]

    def sign(
        self, file: Path, *, holders: bool = False, again: bool = False, times: int = 1
    ) -> Path:
        """Take a copy of `file` home, as on a stick, sign it there, and give that back."""
        mine = self.directory / f"{file.stem}-{self.directory.name}.request"
        shutil.copy(file, mine)
        for _ in range(times):
            sign_request(
                mine,
                root=self.root,
                holders=holders,
                signers=self.signers,
                confirm=silent,
                now=now(),
                again=again,
            )
        return mine


def person(directory: Path, home: Home, families: Sequence[str] = FAMILIES) -> Person:
    """Somebody with a new key of each family and the vendor's root as it is now."""
    directory.mkdir()
    for scheme in families:
        name = scheme.partition("/")[0]
        make_key(str(directory / f"{name}.pem"), scheme, passphrase=None, pin=no_secret)
    for name in ("root.json", "suite.toml"):
        if (home.trust / name).exists():
            shutil.copy(home.trust / name, directory)
    return Person(directory)


def drawer(home: Home, directory: Path) -> Person:
    """Whoever holds the keys of root and targets that `limpet vendor init` made."""
    directory.mkdir()
    for file in sorted(home.offline.glob("*.pem")):
        if file.name.startswith("tuf-"):
            shutil.copy(file, directory)
    for name in ("root.json", "suite.toml"):
        shutil.copy(home.trust / name, directory)
    return Person(directory)


def naming(people: Iterable[Person], role: str = "all") -> list[tuple[str, object]]:
    """Their keys, for `Holders.add`."""
    return [(role, load_public_key(file)) for one in people for file in one.public]


def propose(home: Home, holders: Holders, file: Path) -> Path:
    """The request of the vendor's operator, who holds no key."""
    state = Repository(home, now).state()
    roles = {name: one.signed for name, one in state.delegated.items()}
    releases = {name: one for name, one in roles.items() if name.startswith("releases/")}
    published = (state.root, state.targets, releases)
    save_request(propose_holders(holders, home.repository, published, now=now()), file)
    return file


def merged(files: Sequence[Path], file: Path) -> Path:
    save_request(merge_requests([load_request(one) for one in files]), file)
    return file


def change(home: Home, holders: Holders, people: Sequence[Person], place: Path) -> bool:
    """A whole ceremony, in the order of `people`; whether devices pass without a gap."""
    request = propose(home, holders, place / f"change-{len(list(place.iterdir()))}.request")
    signed = [one.sign(request, holders=True) for one in people]
    whole = merged(signed, request.with_suffix(".signed"))
    return publish_holders(home, load_request(whole).proposed, now=now())


def shared_vendor(place: Path) -> Home:
    """A vendor whose offline roles three people hold, two of whom must sign. Their directories
    are first, second and third below `place`; the roots of both PKIs are in `authority`, and
    nothing else of the drawer is left."""
    home = create(
        place / "vendor",
        EXAMPLE,
        now=now().replace(microsecond=0),
        unsafe_without_gate=True,
    )
    three = [person(place / name, home) for name in ("first", "second", "third")]
    holder = drawer(home, place / "drawer")
    roles = Repository(home, now).state()
    old = [("root", keyid) for keyid in roles.root.roles["root"].keyids]
    old += [("targets", keyid) for keyid in roles.root.roles["targets"].keyids]
    releases = roles.targets.get_delegated_role(ROLES[2]).keyids
    old += [(ROLES[2], keyid) for keyid in releases]
    holders = Holders(add=naming(three), remove=old, threshold=[("all", 4)])
    assert change(home, holders, [holder, three[0], three[1]], place)
    for one in three:
        shutil.copy(home.trust / "root.json", one.directory)
    authority = place / "authority"
    authority.mkdir()
    for file in home.offline.glob("*-root.*"):
        shutil.copy(file, authority)
    shutil.rmtree(home.offline)
    return home


def stranger_key(file: Path) -> Path:
    file.write_bytes(key_to_pem(generate_signing_key()))
    return file


def release(
    out: Path,
    version: str,
    *,
    counter: int = 1,
    bounds: Bounds = ANY_STEP,
    model: str = "thermostat",
    image: bytes = b"an image",
) -> Path:
    """A release that is built, small: a bundle with no firmware in it."""
    out.mkdir()
    (out / "bundle").write_bytes(image)
    bundle = pack_file(out / "bundle", out / "image.img", kind="bundle")
    manifest = make_manifest(image, version, counter=counter, bounds=bounds, model=model)
    packed = msgspec.structs.replace(manifest, image=bundle)
    (out / "manifest.json").write_bytes(encode_json(packed))
    return out


def ask(home: Home, out: Path, file: Path) -> Path:
    """The request for the release in `out`, as `limpet release request` makes it."""
    order = SigningOrder(repository=home.repository, root=home.trust / "root.json")
    draft = draft_release(out, order, now=now())
    save_request(request_release(draft, home.repository, now=now()), file)
    return file


def finish(home: Home, out: Path, files: Sequence[Path]) -> str:
    """Merge what people gave back, and publish it."""
    request = merge_requests([load_request(one) for one in files])
    verify_subject(request, out)
    [data] = request.proposed.values()
    (out / METADATA_FILE).write_bytes(data)
    return publish(out, home.root, clock=now)
