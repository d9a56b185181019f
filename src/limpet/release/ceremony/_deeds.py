"""Signing a request, on the machine of one person, and giving it back.

Owns the order: verify from the person's own root of trust, show, ask, remember, sign, write. What
is remembered is durable before a signature exists; the file is the old one or the new one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import Signer

from limpet.crypto.suites import Suite, load_suite, suite_file_in
from limpet.errors import Rejected
from limpet.release._gated import load_gate_keys
from limpet.release._keys import fingerprint
from limpet.storage import read_bounded, write_atomic
from limpet.wire.metadata import ROOT_BYTES

from ._chain import Published, verify_published
from ._holders import review_holders
from ._memory import load_memory, save_memory
from ._models import review_model
from ._releases import review_releases
from ._request import Kind, SigningRequest, load_request, save_request, with_signatures
from ._review import Review, Standing, stand

__all__ = ["Opened", "open_request", "sign_request"]

_FIRMWARE: tuple[Kind, ...] = ("release", "support", "revocation")


@dataclass(frozen=True, slots=True)
class Opened:
    """A request that was verified from a root of trust, and is understood."""

    request: SigningRequest
    published: Published
    review: Review
    suite: Suite

    @property
    def standing(self) -> tuple[Standing, ...]:
        """How far it is."""
        return stand(self.review, self.suite)

    @property
    def is_complete(self) -> bool:
        """Whether it can be published."""
        return all(one.is_met for one in self.standing if one.is_needed)


def open_request(request: SigningRequest, *, root: Path, holders: bool, now: datetime) -> Opened:
    """The request as the owner of `root` must see it. `holders`: of the kind that changes who may
    sign, or of the other. Raises `Rejected`."""
    if (request.kind not in _FIRMWARE) != holders:
        way = "vendor root" if not holders else "release"
        what = "signs firmware" if holders else "changes who may sign"
        raise Rejected(
            "other-kind", f"this request {what}", hint=f"limpet {way} sign shows and signs it"
        )
    suite = load_suite(suite_file_in(root.parent))
    trusted = read_bounded(root, max_bytes=ROOT_BYTES)
    published = verify_published(request, trusted, suite)
    if request.kind == "model":
        review = review_model(request, published, suite, now=now)
    elif holders:
        review = review_holders(request, published, suite, now=now)
    else:
        review = review_releases(request, published, load_gate_keys(root.parent), now=now)
    return Opened(request, published, review, suite)


def sign_request(
    file: Path,
    *,
    root: Path,
    holders: bool,
    signers: Callable[[Suite], Sequence[Signer]],
    confirm: Callable[[Opened], None],
    now: datetime,
    again: bool = False,
) -> Opened:
    """Sign the request in `file`, once `confirm`, which is shown it, has not raised.

    `signers` opens the keys; it is asked last, so that nobody types a passphrase for what is
    refused. The newest root becomes the signer's root of trust. Raises `Rejected`, also
    ("wrong-key") for a key that may not sign here; then `file` is as it was.
    """
    opened = open_request(load_request(file), root=root, holders=holders, now=now)
    memory = load_memory(root)
    memory.verify(opened.published, opened.review.proposed, again=again)
    confirm(opened)
    keys = signers(opened.suite)
    if not keys:
        raise Rejected("wrong-key", "no key to sign with", hint="name one: --key FILE")
    by_role: dict[str, list[Signer]] = {}
    for signer in keys:
        roles = opened.review.roles_of(signer.public_key.keyid)
        if not roles:
            raise Rejected(
                "wrong-key",
                f"key {fingerprint(signer.public_key.keyid[:16])} may not sign any of this",
                hint="limpet release key show tells a key's id",
            )
        for role in roles:
            by_role.setdefault(role, []).append(signer)
    signed = {role: opened.review.proposed[role] for role in by_role}
    save_memory(memory.after(opened.published, signed), root)
    if opened.published.root_bytes != read_bounded(root, max_bytes=ROOT_BYTES):
        write_atomic(root, opened.published.root_bytes, mode=0o644)
    for role, metadata in signed.items():
        for signer in by_role[role]:
            metadata.sign(signer, append=True)
    request = with_signatures(opened.request, signed)
    save_request(request, file)
    return Opened(request, opened.published, opened.review, opened.suite)
