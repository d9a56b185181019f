"""The same sources, lock and build time give the same image and manifest, byte for byte: whatever
the directory, its order and dates, the umask, the zone and the hash seed of whoever builds."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.release.packages.real import CACHE, real_packages
from tests.release.workshop import EXAMPLE, order

from limpet.errors import Rejected
from limpet.release import build_release, load_built
from limpet.release.packages import PackageOrder, Target, add_packages
from limpet.release.packages._adding import UNUSED
from limpet.release.packages._target import ELF_MACHINES
from limpet.vendor.home import Home

PROGRAM = """
import os, sys
if "--turned" in sys.argv:
    sys.argv.remove("--turned")
    list_names, scan = os.listdir, os.scandir
    class Turned(list):
        __enter__, __exit__, close = lambda self: self, lambda self, *_: None, lambda self: None
    os.listdir = lambda *given: list_names(*given)[::-1]
    os.scandir = lambda *given: Turned(list(scan(*given))[::-1])
sys.path.append(os.environ["TESTS"])
from tests.packing import pack_lightly
pack_lightly()
from limpet.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
BUILT_AT = "1700000000"
TESTS = Path(__file__).parents[3]


def build(cwd: Path, product: Path, out: str, *words: str, **environment: str) -> None:
    """One build, in a process of its own."""
    command = [sys.executable, "-c", PROGRAM, "release", "build", str(product), *words]
    command += ["--trust", str(cwd / "trust"), "--version", "1.0.0", "--out", out]
    settings = {**os.environ, "SOURCE_DATE_EPOCH": BUILT_AT, "LIMPET_CACHE": str(CACHE)}
    settings["TESTS"] = str(TESTS)
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**settings, **environment},
        umask=int(environment.get("UMASK", "22"), 8),
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [(), ("--without-packages",)], ids=["packages", "without"])
def test_two_builds_at_different_places_are_equal_byte_for_byte(
    words: tuple[str, ...], home: Home, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "quite" / "another place"
    for place in (here, there):
        shutil.copytree(home.trust, place / "trust")
        shutil.copytree(EXAMPLE, place / "product", ignore=shutil.ignore_patterns("__pycache__"))
    for path in there.rglob("*"):
        os.utime(path, (1, 1))
    build(here, here / "product", "out", *words, TZ="UTC", PYTHONHASHSEED="1", LC_ALL="C")
    build(
        there, Path("product"), str(there / "out"), *words, "--turned",
        TZ="Pacific/Auckland", PYTHONHASHSEED="2", UMASK="077", LC_ALL="C.UTF-8",
    )  # fmt: skip
    first, second = load_built(here / "out"), load_built(there / "out")
    names = sorted(path.name for path in first.directory.iterdir())
    assert names == sorted(path.name for path in second.directory.iterdir())
    assert {"image.img", "manifest.json", "sbom.cdx.json"} <= set(names)
    for name in names:
        same = (first.directory / name).read_bytes() == (second.directory / name).read_bytes()
        assert same, name
    assert (first.manifest.image.size > 10 << 20) == (not words)


def test_what_no_device_loads_of_the_real_packages_is_left_out(tmp_path: Path) -> None:
    added = add_packages(real_packages(), EXAMPLE, tmp_path, note=lambda doing: None)
    names = [str(path.relative_to(tmp_path / "packages")) for path in tmp_path.rglob("*")]
    for package, beginnings in UNUSED.items():
        wheel = next(CACHE.glob(f"wheels/*/{package}-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            assert all(
                any(name.startswith(one) for name in archive.namelist()) for one in beginnings
            ), f"nothing of {package} is left out any more"
        assert not [name for name in names if name.startswith(beginnings)]
    assert {one.name for one in added} >= set(UNUSED)
    code = "import sys; sys.path.append(sys.argv[1]); import zstandard; print(zstandard.backend)"
    command = [sys.executable, "-I", "-S", "-B", "-c", code, str(tmp_path / "packages")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert done.stdout.strip() == "cext", done.stderr


def test_an_app_that_imports_what_is_not_locked_is_refused_at_the_build(
    product: Path, home: Home, tmp_path: Path
) -> None:
    """It is installed here, so only a device would have missed it."""
    code = product / "app" / "thermostat" / "__init__.py"
    code.write_text("import rich\n" + code.read_text())
    build_release(order(product, home), tmp_path / "without")
    with pytest.raises(Rejected) as refused:
        build_release(replace(order(product, home), packages=real_packages()), tmp_path / "out")
    assert refused.value.reason == "bad-app"
    assert "No module named 'rich'" in refused.value.message
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_firmware_for_another_machine_is_not_made_of_this_ones_wheels(
    product: Path, home: Home, tmp_path: Path
) -> None:
    here = real_packages()
    (tmp_path / "tree").mkdir()
    add_packages(here, product, tmp_path / "tree", note=lambda doing: None)
    kept = next(path.parent for path in CACHE.glob("wheels/*/cryptography-*.whl"))
    own = here.target.architecture
    other = next(name for name in ELF_MACHINES if name != own)
    for platform in (f"musllinux_1_2_{own}", f"manylinux_2_36_{other}"):
        target = Target(platform, here.target.python)
        there = PackageOrder(cache=tmp_path / "none", wheels=kept, target=target)
        with pytest.raises(Rejected) as refused:
            build_release(replace(order(product, home), packages=there), tmp_path / "out")
        assert refused.value.reason == "wrong-platform"
        assert target.platform in refused.value.message
        assert not (tmp_path / "out" / "manifest.json").exists()
