"""From the signer's own root of trust to what is published: nothing else in a request is believed.

Owns the walk over the roots and the two roles below. Does without snapshot and timestamp, which
expire while a file travels and say nothing that an offline key signed: that a request continues an
old state is noticed by the signer's memory (`_memory`), and by the repository.
"""

from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Metadata, Root, Targets

from limpet.crypto.suites import Suite
from limpet.errors import Rejected

from ._request import SigningRequest, parse_role, verify_kept_schemes, verify_signed

__all__ = ["Published", "verify_fresh", "verify_published"]


@dataclass(frozen=True, slots=True)
class Published:
    """What the offline keys have signed until now, verified."""

    root: Root
    root_bytes: bytes  # as it is published: the signer's next root of trust
    targets: Targets
    roles: dict[str, Targets]  # `releases/<model>`, as far as the request brings them

    def role(self, name: str) -> Targets:
        """The current metadata of `name`. Raises `Rejected("malformed")`."""
        try:
            return self.roles[name]
        except KeyError:
            raise Rejected("malformed", f"the request does not bring the current {name}") from None


def verify_published(request: SigningRequest, trusted: bytes, suite: Suite) -> Published:
    """Numbered as they run: 1. the request's roots lead from the signer's root, each signed as the
    one before says and as it says itself (TUF 1.0.33, 5.3.4 and 5.3.5), by each family;
    2. devices accept every key; 3. targets is signed as the last root says; 4. each role below is
    signed as targets says. Raises `Rejected` (other-root, rollback, bad-signature, weak-key, …).

    Expiry is not judged: what has expired is what a new version is made from.
    """
    root, data = _walk(request.roots, trusted, suite)
    verify_kept_schemes(root, what="root", suite=suite)
    if "targets" not in request.current:
        raise Rejected("malformed", "the request does not bring the current targets")
    targets = _parse_targets("targets", request.current["targets"])
    verify_signed(root, "targets", targets, what="the current targets", suite=suite)
    verify_kept_schemes(targets.signed, what="targets", suite=suite)
    roles = {}
    for name, content in request.current.items():
        if name != "targets":
            role = _parse_targets(name, content)
            _verify_named(targets.signed, name)
            verify_signed(targets.signed, name, role, what=f"the current {name}", suite=suite)
            roles[name] = role.signed
    return Published(root, data, targets.signed, roles)


def verify_fresh(published: Published, now: datetime) -> None:
    """Raise `Rejected("expired-metadata")` where devices would not come as far as the role."""
    for signed in (published.root, published.targets):
        if signed.expires <= now:
            raise Rejected(
                "expired-metadata",
                f"{signed.type} has expired on {signed.expires:%Y-%m-%d}",
                hint="renew it first: limpet vendor root propose DIR --renew --out FILE",
            )


def _walk(roots: tuple[bytes, ...], trusted: bytes, suite: Suite) -> tuple[Root, bytes]:
    known = _parse_root(trusted)
    chain = {metadata.signed.version: (metadata, data) for metadata, data in map(_both, roots)}
    newest = max(chain)
    if newest < known.signed.version:
        raise Rejected(
            "rollback",
            f"the request continues root {newest}, and you know root {known.signed.version}",
            hint="ask for a request that was made from the current repository",
        )
    start = chain.get(known.signed.version)
    if start is None or start[0].signed_bytes != known.signed_bytes:
        raise Rejected(
            "other-root",
            f"root {known.signed.version} of the request is not your root of trust",
            hint="this is another vendor's request, or a forged one: ask who made it",
        )
    for version in range(known.signed.version + 1, newest + 1):
        if version not in chain:
            raise Rejected("malformed", f"the request leaves out root {version}")
        following = chain[version][0]
        for signer in (known.signed, following.signed):
            verify_signed(signer, "root", following, what=f"root {version}", suite=suite)
        known = following
    return known.signed, chain[newest][1]


def _both(data: bytes) -> tuple["Metadata[Root]", bytes]:
    return _parse_root(data), data


def _parse_root(data: bytes) -> "Metadata[Root]":
    return parse_role("root", data)  # type: ignore[return-value]


def _parse_targets(role: str, data: bytes) -> "Metadata[Targets]":
    return parse_role(role, data)  # type: ignore[return-value]


def _verify_named(targets: Targets, name: str) -> None:
    delegations = targets.delegations
    if delegations is None or name not in (delegations.roles or {}):
        raise Rejected("unknown-model", f"the vendor delegates no {name}")
