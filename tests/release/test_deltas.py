"""Making deltas: any bytes come out again, the same ones each time, and only what is worth it."""

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.firmware.test_delta import Memory, describe, make_image
from tests.release.workshop import now, order, signing

from limpet.cli.main import run
from limpet.errors import Rejected, Unavailable
from limpet.firmware.delta import DeltaReader
from limpet.firmware.old_image import OldTree
from limpet.release import (
    Built,
    Form,
    OldRelease,
    add_deltas,
    build_release,
    load_built,
    load_olds,
    publish,
    sign_release,
)
from limpet.release._matching import match_images
from limpet.release._packing import index_bytes, pack_segments
from limpet.vendor.home import Home
from limpet.wire.release import ReleaseManifest

GROUP = 10_000


def encode(old: bytes, new: bytes) -> tuple[bytes, int, list[int]]:
    """The delta's file, the length of its index, and the groups of the new image."""
    groups = [min(GROUP, len(new) - at) for at in range(0, len(new), GROUP)]
    arrays = [np.frombuffer(data, dtype=np.uint8) for data in (old, new)]
    matches = match_images(*arrays, lambda done, total: None)
    segments = list(pack_segments(*arrays, matches, groups, workers=2))
    index = index_bytes(segments)
    return index + b"".join(s.data for s in segments), len(index), groups


def decode(old: bytes, new: bytes, made: tuple[bytes, int, list[int]]) -> bytes:
    data, index, groups = made
    delta = describe(data, index, base_size=len(old))
    reader = DeltaReader(delta, make_image(new, groups), Memory(data).read, Memory(old))
    return b"".join(reader.read(number) for number in range(len(groups)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), edits=st.integers(0, 12))
def test_whatever_is_edited_comes_out_again(seed: int, edits: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    old = chance.randbytes(chance.choice((0, 1, 5_000, 60_000))) + bytes(chance.randrange(20_000))
    new = bytearray(old)
    for _ in range(edits):
        at, count = chance.randrange(len(new) + 1), chance.randrange(3_000)
        match chance.randrange(4):
            case 0:
                new[at:at] = chance.randbytes(count)
            case 1:
                del new[at : at + count]
            case 2:
                new[at:at] = new[chance.randrange(len(new) + 1) :][:count]
            case _:
                for place in range(at, min(at + count, len(new)), 29):
                    new[place] = (new[place] + 3) % 256
    assert decode(old, bytes(new), encode(old, bytes(new))) == new


def test_code_whose_addresses_moved_costs_a_fraction_of_its_bytes() -> None:
    """Single bytes differ all over, so that no long stretch is equal."""
    old = random.Random(1).randbytes(400_000)  # noqa: S311 - no secret
    new = bytearray(b"longer" + old)
    for at in range(40, len(new), 40):
        new[at] = (new[at] + 6) % 256
    data, _, _ = made = encode(old, bytes(new))
    assert decode(old, bytes(new), made) == new
    assert len(data) < len(new) / 50


def test_the_same_images_give_the_same_delta() -> None:
    old = random.Random(2).randbytes(300_000)  # noqa: S311 - no secret
    new = old[:100_000] + b"new" + old[120_000:]
    assert encode(old, new) == encode(old, new)


def test_the_stream_of_an_installed_tree_is_its_images(built: Built, tmp_path: Path) -> None:
    """What a device reads as the old image is what the encoder compared with, at every offset."""
    from limpet.firmware.image import group_reader, range_reader
    from limpet.firmware.installation import install_image

    image = built.manifest.image
    read = group_reader(image, range_reader(built.image))
    stream = b"".join(read(number) for number in range(len(image.groups)))
    slot = tmp_path / "slot"
    install_image(image, range_reader(built.image), slot, journal=tmp_path / "journal")
    tree = OldTree(slot)
    assert tree.size == len(stream)
    chance = random.Random(3)  # noqa: S311 - no secret
    spans = [(0, len(stream)), *((chance.randrange(len(stream)), 700) for _ in range(300))]
    for offset, length in spans:
        assert tree.read(offset, length) == stream[offset : offset + length]
    tree.close()


def olds_in(
    sources: list[Path], *, model: str = "thermostat", kind: str = "tree", below: str
) -> tuple[OldRelease, ...]:
    """What `sources` name, where nothing is left out."""
    left_out: list[ReleaseManifest] = []
    olds = load_olds(sources, model=model, kind=kind, below=below, skipped=left_out.append)
    assert left_out == []
    return olds


@pytest.fixture
def changed(product: Path) -> Path:
    copy = product.with_name("changed")
    shutil.copytree(product, copy)
    (copy / "app" / "thermostat" / "more.py").write_text('"""A new module."""\n')
    return copy


def test_a_release_carries_deltas_from_the_old_ones_named(
    changed: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    olds = olds_in([built.directory], below="1.1.0")
    new = build_release(replace(order(changed, home, "1.1.0"), delta_from=olds), tmp_path / "new")
    (delta,) = new.manifest.deltas
    assert (delta.base_version, delta.base_tree_sha256) == (
        "1.0.0",
        built.manifest.image.tree_sha256,
    )
    assert delta.size == new.deltas[0].stat().st_size < new.manifest.image.packed / 20


def test_a_damaged_delta_beside_a_release_is_found_before_signing(
    changed: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    olds = olds_in([built.directory], below="1.1.0")
    new = build_release(replace(order(changed, home, "1.1.0"), delta_from=olds), tmp_path / "new")
    new.deltas[0].write_bytes(b"other")
    with pytest.raises(Rejected, match="is not the delta of its manifest"):
        load_built(new.directory)


def test_deltas_are_published_before_the_metadata_and_found_again_in_the_repository(
    product: Path, changed: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    sign_release(built.directory, signing(home), now=now())
    publish(built.directory, home.root, clock=now)
    olds = olds_in([home.repository], below="1.1.0")
    assert [old.manifest.version for old in olds] == ["1.0.0"]
    new = build_release(order(changed, home, "1.1.0"), tmp_path / "new")
    new = add_deltas(new.directory, olds, lambda doing: None)
    sign_release(new.directory, signing(home), now=now())
    publish(new.directory, home.root, clock=now)
    (delta,) = new.manifest.deltas
    assert (home.repository / delta.path).read_bytes() == new.deltas[0].read_bytes()


def test_a_signed_release_gets_no_delta_any_more(
    changed: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    new = build_release(order(changed, home, "1.1.0"), tmp_path / "new")
    sign_release(new.directory, signing(home), now=now())
    olds = olds_in([built.directory], below="1.1.0")
    with pytest.raises(Unavailable, match="is signed"):
        add_deltas(new.directory, olds, lambda doing: None)


def test_an_old_release_must_be_older_and_of_the_model(built: Built) -> None:
    with pytest.raises(Rejected, match="is not older than"):
        olds_in([built.directory], below="1.0.0")
    with pytest.raises(Rejected, match=r"a block has no delta from the tree of 1\.0\.0"):
        olds_in([built.directory], kind="block", below="1.1.0")
    with pytest.raises(Rejected, match="is for thermostat"):
        olds_in([built.directory], model="kettle", below="1.1.0")
    with pytest.raises(Unavailable, match="neither a release nor a repository"):
        olds_in([built.directory.parent], below="1.1.0")


def test_a_delta_that_saves_little_is_left_out(
    changed: Path, home: Home, built: Built, tmp_path: Path
) -> None:
    """From an old image that has nothing in common with the new one."""
    (changed / "app" / "noise.bin").write_bytes(random.Random(4).randbytes(16 << 20))  # noqa: S311
    olds = olds_in([built.directory], below="1.1.0")
    new = build_release(replace(order(changed, home, "1.1.0"), delta_from=olds), tmp_path / "new")
    assert new.manifest.deltas == ()
    assert [path.name for path in new.directory.iterdir() if "delta" in path.name] == []


def test_the_command_makes_deltas_and_prints_what_they_save(
    changed: Path, home: Home, built: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_release(order(changed, home, "1.1.0"), tmp_path / "new")
    status = run(["release", "delta", str(tmp_path / "new"), "--from", str(built.directory)])
    assert status == 0
    assert "from 1.0.0" in capsys.readouterr().out
    run(["release", "show", str(tmp_path / "new"), "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert [delta["base_version"] for delta in shown["deltas"]] == ["1.0.0"]


def test_a_base_of_another_kind_is_refused(built: Built, tmp_path: Path) -> None:
    from limpet.release._delta import make_delta

    manifest = built.manifest
    block = replace_kind(built)
    with pytest.raises(Rejected, match="has no delta from the block"):
        make_delta(block, manifest.image, built.image, lambda doing: None)


def replace_kind(built: Built) -> OldRelease:
    import msgspec

    image = msgspec.structs.replace(built.manifest.image, kind="block")
    return OldRelease(msgspec.structs.replace(built.manifest, image=image), built.image)


PACKER = """#!/bin/sh
head -c 262144 /dev/zero > "$2"
"""
"""Makes a block image that is none: nobody starts from it here."""


@pytest.fixture
def mixed(built: Built, home: Home, product: Path, tmp_path: Path) -> Path:
    """A repository of a tree (1.0.0), a block image (1.0.1) and a bundle (1.0.2) of one model."""
    packer = tmp_path / "packer"
    packer.write_text(PACKER)
    packer.chmod(0o755)
    made = [built]
    for version, form in (("1.0.1", Form.BLOCK), ("1.0.2", Form.BUNDLE)):
        wanted = replace(order(product, home, version), form=form, packer=packer)
        made.append(build_release(wanted, tmp_path / version))
    for one in made:
        sign_release(one.directory, signing(home), now=now())
        publish(one.directory, home.root, clock=now)
    return home.repository


@pytest.mark.parametrize(
    ("kind", "base", "others"),
    [
        ("tree", ["1.0.0"], ["1.0.2", "1.0.1"]),
        ("block", ["1.0.1"], ["1.0.2"]),
        ("bundle", [], ["1.0.2", "1.0.1", "1.0.0"]),
    ],
)
def test_of_a_repository_only_bases_of_the_same_kind_count(
    mixed: Path, kind: str, base: list[str], others: list[str]
) -> None:
    left_out: list[ReleaseManifest] = []
    olds = load_olds(
        [mixed], model="thermostat", kind=kind, below="1.1.0", last=1, skipped=left_out.append
    )
    assert [old.manifest.version for old in olds] == base
    assert [one.version for one in left_out] == others


def test_the_command_names_what_it_leaves_out_of_a_repository(
    mixed: Path, changed: Path, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_release(order(changed, home, "1.1.0"), tmp_path / "new")
    assert run(["release", "delta", str(tmp_path / "new"), "--from", str(mixed), "--json"]) == 0
    said = capsys.readouterr()
    assert [one["base_version"] for one in json.loads(said.out)["deltas"]] == ["1.0.0"]
    assert said.err == (
        "no delta from 1.0.2: a bundle, and this is a tree\n"
        "no delta from 1.0.1: a block, and this is a tree\n"
    )
