"""Any byte and any field of any file changed, unsigned or signed anew: a named reason, or nothing.

What holds for each: the outcome is one of the reasons that docs/updates.md names, or the change
means nothing and the same release is found. No other error ever leaves the updater.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.device.updater.bench import Bench
from tests.device.updater.resigning import (
    document_of,
    paths,
    published_anew,
    replaced,
    serving,
    signed_anew,
)
from tests.device.updater.simulator import (
    MODEL,
    NOW,
    RELEASES,
    ROLLOUT,
    RepositorySimulator,
)
from tests.docs.pages import ROOT
from tuf.api.metadata import MetaFile

from limpet.device.link import messages as m
from limpet.device.updater.check import Outcome
from limpet.device.updater.facts import device_facts
from limpet.device.updater.floor import Floor
from limpet.device.updater.progress import Progress
from limpet.device.updater.repository import Repository
from limpet.errors import Rejected, Unavailable
from limpet.firmware.decision import OwnerPolicy, decide_installation, verify_release
from limpet.firmware.tree import digest_tree

ALWAYS = OwnerPolicy(automatic=True, in_window=lambda now: True, window_text="at any time")
NAMED = {
    "bad-signature", "weak-key", "unsigned-release", "expired-metadata", "rollback", "withdrawn",
    "wrong-model", "wrong-hardware", "minimum-version", "out-of-bounds", "tampered-image",
    "tampered-tree", "malformed", "too-large", "missing-file",
}  # fmt: skip
"""What a peer's bytes can lead to."""

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 1.5, "", "0", "é\x00\x1b[31m", "\n",
    "../../etc/passwd", "%2e%2e/x", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "x" * 5000,
    [], {}, [[]], {"": {}}, [1, "a", None], {"keyid": "x"}, [[[[[[[[[[[[]]]]]]]]]]]],
)  # fmt: skip


def vendor() -> RepositorySimulator:
    """A release, offered to everybody; its files are what the properties change."""
    repository = RepositorySimulator()
    with tempfile.TemporaryDirectory() as work:
        repository.offer(repository.add_release(Path(work)))
    repository.state_support(NOW)
    return repository


VENDOR = vendor()
FILES = dict(VENDOR.files)


def look(files: dict[str, bytes], asked: list[str] | None = None) -> str:
    """What a new device finds in `files`: a decision's name, or the reason why not."""
    source = serving(files)
    source.asked = [] if asked is None else asked
    with tempfile.TemporaryDirectory() as place:
        client = Repository(
            source, model=MODEL, directory=Path(place), trusted_root=VENDOR.trusted_root
        )
        try:
            offer = client.look(Floor(time=NOW), now=NOW, keep=lambda floor: None)
            if offer.manifest is None:
                return "nothing"
            release = verify_release(offer.manifest, offer.plan, DEVICE)
            decision = decide_installation(release, offer.plan, ALWAYS, DEVICE, NOW)
        except (Rejected, Unavailable) as error:
            return error.reason if error.message.isprintable() else "unprintable"
    return type(decision).__name__


def _facts() -> Any:
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place) / "device", VENDOR)
        boot = m.BootRecord(running="a", on_trial=False, version="1.0.0", security_counter=1)
        return device_facts(bench.device(), boot=boot, floor=Floor(time=NOW), progress=Progress())


def _seen() -> list[str]:
    asked: list[str] = []
    assert look(FILES, asked) == "Install"
    return sorted(name for name in map(unquote, asked) if name in FILES)


DEVICE = _facts()
SEEN = _seen()
"""The files that a new device reads."""


def test_unchanged_files_offer_the_release_and_every_named_reason_is_on_the_page() -> None:
    assert look(FILES) == "Install"
    assert len(SEEN) == 8, SEEN
    page = (ROOT / "docs" / "updates.md").read_text()
    assert [reason for reason in NAMED if f"`{reason}`" not in page] == []


def flip(data: bytes, at: int, bit: int) -> bytes:
    changed = bytearray(data)
    changed[at % len(data)] ^= 1 << bit
    return bytes(changed)


CHANGES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "flip": flip,
    "cut": lambda data, at, bit: data[: at % len(data)],
    "grow": lambda data, at, bit: data + data[: at % len(data)],
    "drop": lambda data, at, bit: data[: at % len(data)] + data[at % len(data) + bit + 1 :],
    "swap": lambda data, at, bit: FILES[SEEN[at % len(SEEN)]],
    "fill": lambda data, at, bit: bytes([bit]) * (at % (2 << 20)),
}


@given(
    st.sampled_from(SEEN),
    st.sampled_from(sorted(CHANGES)),
    st.integers(0, 2**32),
    st.integers(0, 7),
)
@settings(max_examples=150)
def test_changed_bytes_have_a_named_reason_or_change_nothing(
    name: str, change: str, at: int, bit: int
) -> None:
    found = look(FILES | {name: CHANGES[change](FILES[name], at, bit)})
    assert found in NAMED | {"Install"}
    if FILES[name] != CHANGES[change](FILES[name], at, bit) and name.startswith("targets/"):
        assert found in ("bad-signature", "too-large"), "a target is its hash"


ROLES = ("root", "timestamp", "snapshot", "targets", RELEASES, ROLLOUT)


@pytest.mark.parametrize("role", ROLES)
def test_signing_anew_without_a_change_offers_the_release(role: str) -> None:
    assert (
        look(published_anew(VENDOR, role, signed_anew(VENDOR, role, document_of(VENDOR, role))))
        == "Install"
    )


@given(st.data(), st.sampled_from(ROLES))
@settings(max_examples=200)
def test_a_signed_field_of_another_type_has_a_named_reason_or_changes_nothing(
    data: st.DataObject, role: str
) -> None:
    """Whoever holds the role's keys may write anything at all into its metadata."""
    document = document_of(VENDOR, role)
    path = data.draw(st.sampled_from(paths(document)))
    odd = data.draw(st.sampled_from((*ODD, ...) if path else ODD))
    found = look(
        published_anew(VENDOR, role, signed_anew(VENDOR, role, replaced(document, path, odd)))
    )
    assert found in NAMED | {"Install", "nothing"}


TARGETS = {
    "plan": (ROLLOUT, f"rollout/{MODEL}/plan.json"),
    "manifest": (RELEASES, f"firmware/{MODEL}/1.1.0.json"),
    "support": (RELEASES, f"firmware/{MODEL}/support.json"),
}


@given(st.data(), st.sampled_from(sorted(TARGETS)))
@settings(max_examples=150)
def test_a_signed_target_with_an_odd_field_has_a_named_reason_or_is_held(
    data: st.DataObject, kind: str
) -> None:
    role, path = TARGETS[kind]
    folder, _, file = path.rpartition("/")
    info = VENDOR.roles[role].targets[path]
    document = json.loads(FILES[f"targets/{folder}/{info.hashes['sha256']}.{file}"])
    where = data.draw(st.sampled_from(paths(document)))
    odd = data.draw(st.sampled_from((*ODD, ...) if where else ODD))
    content = json.dumps(replaced(document, where, odd)).encode()
    digest = MetaFile.from_data(1, content, ["sha256"]).hashes["sha256"]  # type: ignore[index]
    entry = {"length": len(content), "hashes": {"sha256": digest}}
    metadata = replaced(document_of(VENDOR, role), ("targets", path), entry)
    files = published_anew(VENDOR, role, signed_anew(VENDOR, role, metadata))
    found = look(files | {f"targets/{folder}/{digest}.{file}": content})
    assert found in NAMED | {"Install", "Hold", "Nothing", "nothing"}
    if kind == "manifest" and json.loads(content) != document:
        assert found != "Install", "the plan names another hash"


@given(st.sampled_from(["flip", "cut", "drop"]), st.integers(0, 2**32), st.integers(0, 7))
@settings(max_examples=12)
def test_changed_bytes_of_the_image_leave_device_and_slot_as_they_were(
    change: str, at: int, bit: int
) -> None:
    """The whole engine: told, reported, and nothing is left of the attempt."""
    [name] = [name for name in FILES if name.startswith("images/")]
    repository = RepositorySimulator.__new__(RepositorySimulator)
    repository.__dict__ |= VENDOR.__dict__ | {"asked": [], "hooks": [], "chunk_hooks": []}
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place) / "device", repository)
        changed = CHANGES[change](FILES[name], at, bit)
        repository.files = FILES | {name: changed}
        result = bench.check()
        assert result.outcome in (Outcome.REFUSED, Outcome.UNAVAILABLE), changed == FILES[name]
        assert result.reason in NAMED | {"unreachable", "too-slow"}
        bench.assert_untouched()
        repository.files = FILES
        assert bench.check().outcome is Outcome.READY
        assert digest_tree(bench.root / "slots" / "b") != bench.tree_before
