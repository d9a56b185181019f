"""Keys of schemes that devices refuse: the vendor publishes nothing under them."""

from dataclasses import replace
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tests.vendor.weakening import weak_roots, weaken
from tests.vendor.workshop import (
    MODEL,
    Clock,
    TufClient,
    make_release,
    next_releases,
)

from limpet.errors import Rejected
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository
from limpet.wire.release import manifest_path
from limpet.wire.rollout import plan_path

ROLES = ["root", "targets", "snapshot", "timestamp", "releases", "rollout"]
WEAK = [CryptoSigner.generate_rsa(), CryptoSigner.generate_ecdsa()]


def public_files(home: Home) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in home.public.rglob("*") if p.is_file()}


@pytest.mark.parametrize("weak", WEAK, ids=["rsa", "p-256"])
@pytest.mark.parametrize("role", ROLES)
def test_roots_with_a_weak_key_are_not_published(home: Home, role: str, weak: CryptoSigner) -> None:
    """A root that devices refuse can never be replaced by a later one."""
    root, targets = weak_roots(home, role, weak)
    before = public_files(home)
    with pytest.raises(Rejected) as caught:
        Repository(home, Clock()).publish_roots(root, targets)
    assert caught.value.reason == "weak-key"
    assert public_files(home) == before


@pytest.mark.parametrize("weak", WEAK, ids=["rsa", "p-256"])
def test_a_release_under_a_weak_key_is_not_published(
    home: Home, tmp_path: Path, weak: CryptoSigner
) -> None:
    weaken(home, "releases", weak)
    assert TufClient(home, tmp_path / "client").read(plan_path(MODEL)), "python-tuf takes it"
    release = make_release(home, tmp_path)
    signing = next_releases(home, manifest_path(MODEL, "1.1.0"), release.manifest)
    signing.signers[-1] = weak
    before = public_files(home)
    with pytest.raises(Rejected) as caught:
        Repository(home, Clock()).add_release(replace(release, metadata=signing.data()))
    assert caught.value.reason == "weak-key"
    assert public_files(home) == before


def test_a_soundly_signed_release_is_not_published_under_a_weak_root(
    home: Home, tmp_path: Path
) -> None:
    release = make_release(home, tmp_path)
    weaken(home, "timestamp", WEAK[0])
    with pytest.raises(Rejected) as caught:
        Repository(home, Clock()).add_release(release)
    assert caught.value.reason == "weak-key"
