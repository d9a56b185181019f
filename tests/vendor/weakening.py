"""A vendor's repository with an RSA key in it, as one that knows no suite would sign it."""

from datetime import timedelta

from securesystemslib.signer import CryptoSigner
from tests.vendor.workshop import MODEL, NOW, Clock

from limpet.vendor.home import Home
from limpet.vendor.repository import Repository
from limpet.vendor.repository._metadata import load_drawer_signers, renewed, sign_metadata

SPAN = timedelta(days=1000)


def weak_roots(home: Home, role: str, weak: CryptoSigner) -> tuple[bytes, bytes]:
    """The next root and targets, signed by the drawer, which add the key `weak` to `role`."""
    state = Repository(home, Clock()).state()
    root = renewed(state.root, now=NOW, lifetime=SPAN)
    targets = renewed(state.targets, now=NOW, lifetime=SPAN)
    if role in root.roles:
        root.add_key(weak.public_key, role)
    else:
        delegations = targets.delegations
        assert delegations is not None
        assert delegations.roles is not None
        delegations.keys[weak.public_key.keyid] = weak.public_key
        delegations.roles[f"{role}/{MODEL}"].keyids.append(weak.public_key.keyid)
    return (
        sign_metadata(root, *load_drawer_signers(home.offline, "tuf-root")),
        sign_metadata(targets, *load_drawer_signers(home.offline, "tuf-targets")),
    )


def weaken(home: Home, role: str, weak: CryptoSigner) -> None:
    """Publish them past the check that refuses them."""
    root, targets = weak_roots(home, role, weak)
    repository = Repository(home, Clock())
    state = repository.state()
    repository._shelf.write(f"metadata/{state.root.version + 1}.root.json", root)
    version = state.targets.version + 1
    repository._publish_snapshot(repository.state(), {"targets": (version, targets)})
