"""From a lock and wheels to `packages/` of a tree: what is needed, of the right bytes, for the
right machine, and nothing else."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.release.packages.wheels import ELF_X86_64, device_wheels, lock_line, make_wheel

from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.firmware.tree import digest_tree
from limpet.release.packages import Package, PackageOrder, Target, add_packages, cache_directory

X86 = Target("manylinux_2_36_x86_64", "3.11")
ARM = Target("manylinux_2_36_aarch64", "3.11")


class Shop:
    """A product with a lock, a directory of wheels, and a tree that gets packages."""

    def __init__(self, place: Path) -> None:
        self.product, self.wheels, self.place = place / "product", place / "wheels", place
        self.product.mkdir()
        self.wheels.mkdir()
        self.lock = device_wheels(self.wheels)
        self.order = PackageOrder(cache=place / "cache", wheels=self.wheels, target=X86)
        self.trees = 0

    def add_wheel(self, name: str, *, lock: bool = True, **what: object) -> Path:
        """One more package, and its line."""
        file, data = make_wheel(name, **what)  # type: ignore[arg-type]
        (self.wheels / file).write_bytes(data)
        if lock:
            self.lock += lock_line(name, "1.0", data)
        return self.wheels / file

    def make(self, *app_requires: str, order: PackageOrder | None = None) -> Path:
        """A new tree with packages."""
        (self.product / "device.lock").write_text(self.lock)
        self.trees += 1
        tree = self.place / f"tree-{self.trees}"
        tree.mkdir()
        self.said: list[str] = []
        self.added: tuple[Package, ...] = add_packages(
            order or self.order,
            self.product,
            tree,
            app_requires=app_requires,
            note=self.said.append,
        )
        return tree

    def refuses(self, says: str, *app_requires: str, order: PackageOrder | None = None) -> str:
        """The reason, whose message says so; no tree has got packages."""
        with pytest.raises(LimpetError) as refused:
            self.make(*app_requires, order=order)
        assert says in str(refused.value)
        assert not (self.place / f"tree-{self.trees}" / "packages").exists()
        return str(getattr(refused.value, "reason", ""))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_packages_are_unpacked_and_listed_with_the_hashes_of_their_wheels(shop: Shop) -> None:
    tree = shop.make()
    listed = json.loads((tree / "packages" / "packages.json").read_bytes())
    assert [one["name"] for one in listed] == [
        "cryptography", "h11", "msgspec", "securesystemslib", "tuf", "urllib3", "zstandard",
    ]  # fmt: skip
    for one in listed:
        data = (shop.wheels / one["wheel"]).read_bytes()
        assert one["sha256"] == hashlib.sha256(data).hexdigest()
        assert (tree / "packages" / one["name"] / "__init__.py").is_file()
        metadata = tree / "packages" / f"{one['name']}-{one['version']}.dist-info" / "METADATA"
        assert f"Version: {one['version']}" in metadata.read_text()
    assert not list(tree.rglob("RECORD"))
    assert [one.name for one in shop.added] == [one["name"] for one in listed]
    assert not any(path.is_file() and os.access(path, os.X_OK) for path in tree.rglob("*"))
    digest_tree(tree)  # nothing in it that firmware cannot hold


def test_the_same_lock_and_wheels_give_the_same_tree_whatever_else_lies_there(shop: Shop) -> None:
    first = digest_tree(shop.make())
    before = os.umask(0o077)
    try:
        (shop.wheels / "notes.txt").write_text("x")
        (shop.wheels / "not a wheel.whl").write_text("x")
        shop.add_wheel("idle", lock=False)
        for path in shop.wheels.iterdir():
            os.utime(path, (0, 0))
        lines = shop.lock.splitlines(keepends=True)
        shop.lock = "".join(["# turned\n", *reversed(lines)])
        assert digest_tree(shop.make()) == first
    finally:
        os.umask(before)


def test_what_a_package_needs_must_be_locked_as_far_as_the_device_needs_it(shop: Shop) -> None:
    needs = [
        "Requires-Dist: rope (>=1)",
        "Requires-Dist: winch; sys_platform == 'win32'",
        "Requires-Dist: sail; extra == 'wind'",
    ]
    shop.lock = device_wheels(shop.wheels, tuf=needs)
    assert shop.refuses("lacks rope>=1, which tuf needs") == "bad-lock"
    shop.add_wheel("rope", metadata=["Requires-Dist: knot[tight]==1.0"])
    assert shop.refuses("lacks knot[tight]==1.0, which rope needs") == "bad-lock"
    shop.add_wheel("knot", metadata=["Requires-Dist: wax; extra == 'tight'"])
    assert shop.refuses("lacks wax; extra") == "bad-lock"
    shop.add_wheel("wax")
    assert (shop.make() / "packages" / "wax").is_dir()


def test_what_the_runtime_needs_must_be_locked_in_a_version_that_it_takes(shop: Shop) -> None:
    whole = shop.lock
    shop.lock = "".join(line for line in whole.splitlines(True) if not line.startswith("h11"))
    assert shop.refuses("lacks h11>=0.16, which limpet's device runtime needs") == "bad-lock"
    file, data = make_wheel("h11", "0.15")
    (shop.wheels / file).write_bytes(data)
    shop.lock += lock_line("h11", "0.15", data)
    said = "h11 0.15, but limpet's device runtime needs h11>=0.16"
    assert shop.refuses(said) == "bad-lock"


def test_what_nobody_needs_is_refused_until_the_app_declares_it(shop: Shop) -> None:
    shop.add_wheel("gauge")
    assert shop.refuses("device.lock:8: nothing needs gauge") == "bad-lock"
    assert (shop.make("gauge") / "packages" / "gauge").is_dir()
    assert shop.refuses("lacks dial, which the product's app", "gauge", "dial") == "bad-lock"


def test_what_is_locked_for_other_machines_only_is_left_out(shop: Shop) -> None:
    shop.lock += lock_line("winch", "1.0", b"", marker="sys_platform == 'win32'")
    assert not (shop.make() / "packages" / "winch").exists()


def test_a_wheel_of_other_bytes_is_refused(shop: Shop) -> None:
    path = shop.wheels / "h11-0.16-py3-none-any.whl"
    _, other = make_wheel("h11", "0.16", files={"h11/more.py": b""})
    path.write_bytes(other)
    assert shop.refuses("h11-0.16-py3-none-any.whl is none of the files") == "tampered-package"
    path.unlink()
    shop.refuses("there is no wheel of h11 0.16")


def test_a_wheel_for_another_machine_is_refused_and_the_best_one_taken(shop: Shop) -> None:
    shop.add_wheel("gauge", tag="cp311-cp311-win_amd64")
    said = "not for manylinux_2_36_x86_64 with Python 3.11: gauge-1.0-cp311-cp311-win_amd64.whl"
    assert shop.refuses(said, "gauge") == "wrong-platform"
    tags = ["cp312-cp312-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_39_x86_64"]
    made = [make_wheel("gauge", tag=tag) for tag in tags]
    for file, data in made:
        (shop.wheels / file).write_bytes(data)
    assert shop.refuses("not for manylinux_2_36_x86_64", "gauge") == "wrong-platform"
    native = {"gauge/_native.so": ELF_X86_64}
    fitting = [
        make_wheel("gauge", tag=tag, files=native)
        for tag in ("cp39-abi3-manylinux2014_x86_64", "cp311-cp311-manylinux_2_28_x86_64")
    ]
    for file, data in [*fitting, make_wheel("gauge")]:
        (shop.wheels / file).write_bytes(data)
    shop.lock = device_wheels(shop.wheels)
    shop.lock += lock_line("gauge", "1.0", *(data for _, data in [*fitting, make_wheel("gauge")]))
    shop.make("gauge")
    chosen = next(one.wheel for one in shop.added if one.name == "gauge")
    assert chosen == "gauge-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    shop.make("gauge", order=replace(shop.order, target=ARM))
    chosen = next(one.wheel for one in shop.added if one.name == "gauge")
    assert chosen == "gauge-1.0-py3-none-any.whl"


def test_two_packages_never_have_one_file(shop: Shop) -> None:
    shop.add_wheel("gauge", files={"h11/__init__.py": b"taken = True\n"})
    with pytest.raises(Rejected, match="another package has"):
        shop.make("gauge")


def test_pip_brings_the_wheels_once_and_what_it_brought_is_hashed_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop.wheels))
    order = replace(shop.order, wheels=None)
    first = digest_tree(shop.make(order=order))
    assert shop.said[0] == "fetching 7 packages"
    assert first == digest_tree(shop.make())
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop.place / "nothing"))
    assert digest_tree(shop.make(order=order)) == first
    assert not any("fetching" in one for one in shop.said)
    (kept,) = (shop.place / "cache" / "wheels").glob("*/h11-*.whl")
    kept.write_bytes(kept.read_bytes()[:-1])
    shop.refuses("pip did not bring the packages", order=order)
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop.wheels))
    assert digest_tree(shop.make(order=order)) == first
    assert not list((shop.place / "cache" / "wheels").glob(".*"))


def test_an_index_with_other_bytes_brings_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop.wheels))
    _, other = make_wheel("h11", "0.16", files={"h11/more.py": b""})
    (shop.wheels / "h11-0.16-py3-none-any.whl").write_bytes(other)
    with pytest.raises(Unavailable) as refused:
        shop.make(order=replace(shop.order, wheels=None))
    assert "Expected sha256" in refused.value.message
    assert "--wheels" in refused.value.hint


def test_a_platform_or_python_of_no_device_is_refused() -> None:
    for platform in ("win_amd64", "linux_x86_64", "manylinux_2_36_riscv64", "manylinux_2_36", ""):
        with pytest.raises(Rejected, match="no platform of a device"):
            Target(platform, "3.11")
    for python in ("3", "3.10", "2.7", "3.11.2", "cp311"):
        with pytest.raises(Rejected, match="no Python"):
            Target("manylinux_2_36_x86_64", python)
    assert Target("manylinux2014_aarch64", "3.12").platforms == (
        "manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64",
    )  # fmt: skip
    assert Target("musllinux_1_1_x86_64", "3.12").platforms == (
        "musllinux_1_1_x86_64", "musllinux_1_0_x86_64", "linux_x86_64",
    )  # fmt: skip


def test_the_cache_is_where_the_environment_says() -> None:
    assert cache_directory({"LIMPET_CACHE": "/c", "XDG_CACHE_HOME": "/x"}) == Path("/c")
    assert cache_directory({"XDG_CACHE_HOME": "/x"}) == Path("/x/limpet")
    assert cache_directory({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache" / "limpet"
