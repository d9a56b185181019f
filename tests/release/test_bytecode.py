"""Byte code of a firmware: made of its sources alone, the same everywhere, and all that runs."""

import importlib.util
import marshal
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.release.workshop import order

from limpet.errors import Rejected, Unavailable
from limpet.release import _bytecode
from limpet.release._build import Built, build_release
from limpet.release._bytecode import PYTHON_TAG, add_byte_code, compile_tree, is_byte_code
from limpet.release.packages import PackageOrder, Target
from limpet.release.sbom import unpack_image
from limpet.vendor.home import Home

MAGIC_BYTES, HEADER_BYTES = 4, 16
HELD = "A = 1.5, 'two words'\nB = {'x', 'y', None}\ndef f(x):\n    return x in {'x', 'y', None}\n"


@pytest.fixture
def tree(built: Built, tmp_path: Path) -> Path:
    (tmp_path / "image").mkdir()
    return unpack_image(built.image, built.manifest.image, tmp_path / "image").tree


def files_of(tree: Path, ending: str) -> dict[str, bytes]:
    return {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for path in tree.rglob(f"*{ending}")
        if path.is_file()
    }


def without_byte_code(tree: Path) -> Path:
    for cache in list(tree.rglob("__pycache__")):
        shutil.rmtree(cache)
    return tree


def small_tree(place: Path, **sources: str) -> Path:
    (place / "app").mkdir(parents=True)
    for name, text in sources.items():
        (place / "app" / f"{name}.py").write_text(text)
    return place


def test_every_source_of_an_image_has_its_byte_code_beside_it_of_the_kind_that_is_not_compared(
    tree: Path,
) -> None:
    codes = files_of(tree, ".pyc")
    sources = files_of(tree, ".py")
    assert len(codes) == len(sources) > 200
    for name, source in sources.items():
        path = Path(importlib.util.cache_from_source(name))
        head = codes[path.as_posix()][:HEADER_BYTES]
        assert head[:MAGIC_BYTES] == importlib.util.MAGIC_NUMBER
        assert struct.unpack("<I", head[4:8]) == (1,)  # by hash, unchecked (PEP 552)
        assert head[8:] == importlib.util.source_hash(source)


def test_no_path_of_the_machine_that_built_is_in_the_byte_code(tree: Path, tmp_path: Path) -> None:
    code = b"".join(files_of(tree, ".pyc").values())
    for place in (tmp_path, Path(_bytecode.__file__).parents[2], Path(sys.prefix), Path.home()):
        assert str(place).encode() + b"/" not in code
    assert b"runtime/limpet/errors.py" in code


def test_a_traceback_names_the_source_where_it_lies_on_the_device(tmp_path: Path) -> None:
    tree = small_tree(tmp_path / "slot", broken="def f():\n    raise ValueError('as asked')\n")
    add_byte_code(tree)
    program = "import sys; sys.path.insert(0, sys.argv[1]); import broken; broken.f()"
    words = [sys.executable, "-I", "-S", "-B", "-v", "-c", program, str(tree / "app")]
    said = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False).stderr
    assert f'File "{tree}/app/broken.py", line 2, in f\n    raise ValueError' in said
    assert f"code object from '{tree}/app/__pycache__/broken.{PYTHON_TAG}.pyc'" in said


def test_the_same_sources_give_the_same_bytes_whatever_the_place_the_seed_and_the_order(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = files_of(tree, ".pyc")
    elsewhere = without_byte_code(Path(shutil.copytree(tree, tmp_path / "else" / "where")))
    _bytecode._compile.cache_clear()
    monkeypatch.setattr(_bytecode, "_SEED", {"PYTHONHASHSEED": "4711"})
    forwards = _bytecode._framed
    monkeypatch.setattr(_bytecode, "_framed", lambda sources: forwards(reversed(sources)))
    run = _bytecode._run
    monkeypatch.setattr(_bytecode, "_run", lambda told: reversed_frames(run(told)))
    assert compile_tree(elsewhere) == made


def reversed_frames(answer: bytes) -> bytes:
    frames, at = [], 0
    while at < len(answer):
        (size,) = struct.unpack_from(">I", answer, at)
        frames.append(answer[at : at + 4 + size])
        at += 4 + size
    return b"".join(reversed(frames))


def test_what_else_a_process_holds_changes_pythons_usual_form_and_not_ours() -> None:
    """Why byte code is written without references (bpo-34093)."""
    before = [marshal.dumps(compile(HELD, "held.py", "exec"), version) for version in (4, 2)]
    code = compile(HELD, "held.py", "exec")
    held = code.co_consts  # one reference more to what is written
    after = [marshal.dumps(code, version) for version in (4, 2)]
    assert held
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_a_build_that_differs_in_the_app_alone_compiles_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bytes] = []
    run = _bytecode._run
    monkeypatch.setattr(_bytecode, "_run", lambda data: told.append(data) or run(data))
    tree = small_tree(tmp_path / "tree", one="A = 1\n")
    (tree / "runtime").mkdir()
    (tree / "runtime" / "other.py").write_text("B = 'long ago'\n")
    first = compile_tree(tree)
    assert compile_tree(tree) == first
    assert len(told) == 2
    (tree / "app" / "one.py").write_text("A = 2\n")
    second = compile_tree(tree)
    assert [name for name in first if first[name] != second[name]] == [
        f"app/__pycache__/one.{PYTHON_TAG}.pyc"
    ]
    assert len(told) == 3
    assert b"long ago" not in told[2]


def test_a_source_that_python_cannot_compile_has_no_byte_code_and_stops_nothing(
    tmp_path: Path,
) -> None:
    bad = {"old": "print 'x'\n", "zero": "A = '\0'\n", "deep": "(" * 5000 + ")" * 5000}
    tree = small_tree(tmp_path / "tree", good="A = 1\n", **bad, **{"n" * 90: "A = 1\n"})
    assert set(compile_tree(tree)) == {f"app/__pycache__/good.{PYTHON_TAG}.pyc"}


def test_compiling_runs_nothing_of_a_source_and_obeys_no_setting_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "path"
    hostile.mkdir()
    mark = tmp_path / "ran"
    for name in ("struct.py", "sitecustomize.py"):
        (hostile / name).write_text(f"open({str(mark)!r}, 'w')\n")
    monkeypatch.setenv("PYTHONPATH", str(hostile))
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.chdir(hostile)
    source = f"open({str(mark)!r}, 'w')\n'said'\nassert 0\n"  # optimized, the assertion were gone
    tree = small_tree(tmp_path / "tree", app=source)
    (code,) = compile_tree(tree).values()
    assert not mark.exists()
    assert code[HEADER_BYTES:] == marshal.dumps(compile(source, "app/app.py", "exec"), 2)
    subprocess.run([sys.executable, "-c", ""], check=True)  # one that obeys
    assert mark.exists()


def test_a_compiler_that_fails_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = small_tree(tmp_path / "tree", app="A = 'never compiled'\n")
    monkeypatch.setattr(_bytecode, "_PROGRAM", "raise SystemExit('no memory')")
    with pytest.raises(Rejected, match="no memory"):
        compile_tree(tree)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(Unavailable):
        compile_tree(tree)


def test_an_image_for_another_python_carries_no_byte_code(
    product: Path, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpet.release._build.add_packages", lambda *_, **__: ())
    for python, carries in ((f"3.{sys.version_info[1]}", True), ("3.99", False)):
        target = Target("manylinux_2_36_x86_64", python)
        packages = PackageOrder(cache=tmp_path, target=target)
        out = tmp_path / python
        made = build_release(replace(order(product, home), packages=packages), out)
        (out / "work").mkdir()
        tree = unpack_image(made.image, made.manifest.image, out / "work").tree
        assert any(is_byte_code(name) for name in files_of(tree, "")) is carries
