"""The check of the tree and the locks: what must never be committed is found."""

import re
import subprocess
import sys
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Put together here, so that this file does not hold what it forbids.
SLASH, DOT = "/", "."


def load_check() -> ModuleType:
    spec = util.spec_from_file_location("check_tree", ROOT / ".ci" / "check_tree.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_tree = load_check()


@pytest.mark.parametrize(
    "content",
    [
        f"path = '{SLASH}root{SLASH}.cache'",
        f"see {SLASH}home{SLASH}somebody{SLASH}limpet",
        f"cd {SLASH}work{SLASH}main",
        f"file:{SLASH}{SLASH}{SLASH}opt{SLASH}pypi{SLASH}simple",
        f"--index-url {'https'}:{SLASH}{SLASH}packages.example",
        f"https:{SLASH}{SLASH}files{DOT}pythonhosted{DOT}org/x.whl",
        f"-----BEGIN {'PRIVATE KEY'}-----\nMC4CAQAwBQYDK2VwBCIEIA",
    ],
)
def test_what_belongs_to_one_machine_or_to_nobody_else_is_found(content: str) -> None:
    assert [line for line, _ in check_tree.find_forbidden(f"first\n{content}\n")] == [2]


@pytest.mark.parametrize(
    "content",
    [
        "src/root/work.py",
        "~/projects/limpet",
        "GET /work.html",
        "metadata/root.json",
        "https://device.example/root.json",
        "-----BEGIN CERTIFICATE-----\nMIIB",
    ],
)
def test_what_is_harmless_is_left_alone(content: str) -> None:
    assert list(check_tree.find_forbidden(content)) == []


def test_a_long_file_and_a_long_function_are_found() -> None:
    body = "".join(f"    x = {n}\n" for n in range(60))
    text = f"def long() -> None:\n{body}" + "y = 1\n" * 350
    found = [what for _, what in check_tree.find_long(Path("x.py"), text)]
    assert found == ["411 lines; at most 399: is there a seam?", "long has 61 lines; at most 49"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('"""First.\n\nAs R2.2.3a asks.\n"""\n', [3]),
        ('class A:\n    """Who it is (R5.3b)."""\n', [2]),
        ("x = 1  # never (R2.4.3)\n", [1]),
        ('x: int\n"""Least, by R1."""\n', [2]),
        ('def f() -> None:\n    """R2.1d, R2.1e."""\n    # R4f\n', [2, 2, 3]),
        ('example = "limpet requirements show R2.2.3a"\n', []),
        ('"""draft-moore, 2.4.3; RFC 7030; P-256; R6, CR1 and R2D2."""\n', []),
        ('x = f"{y}"  # a comment\n', []),
    ],
)
def test_a_requirements_number_in_prose_is_found_and_in_data_left_alone(
    text: str, lines: list[int]
) -> None:
    assert [line for line, _ in check_tree.find_tags(text)] == lines


def test_only_checks_and_requirements_are_named_by_number(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=150)
    for name in ("audit/checks", "requirements", "device", "demo"):
        directory = tmp_path / "src" / "limpet" / name
        directory.mkdir(parents=True)
        (directory / "one.py").write_text('"""Does R2.1.2."""\n')
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "one.py").write_text('"""Attacks R2.1.2."""\n')
    found = [problem.split(":")[0] for problem in check_tree.find_problems(tmp_path)]
    assert found == ["src/limpet/demo/one.py", "src/limpet/device/one.py"]


def test_a_problem_in_a_file_that_is_not_yet_added_is_found(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=150)
    (tmp_path / "notes.md").write_text(f"in {SLASH}root{SLASH}x\n")
    (tmp_path / "ignored.md").write_text(f"in {SLASH}root{SLASH}x\n")
    (tmp_path / ".gitignore").write_text("ignored.md\n")
    problems = check_tree.find_problems(tmp_path)
    assert [problem.split(": ")[0] for problem in problems] == ["notes.md:1"]


def read_pins(name: str) -> dict[str, tuple[str, int]]:
    """Package to (pin with marker, number of hashes) of a lock file."""
    pins: dict[str, tuple[str, int]] = {}
    package = ""
    for line in (ROOT / "locks" / name).read_text().splitlines():
        if pin := re.match(r"([a-z0-9-]+)==(\S.*?)( \\)?$", line):
            package = pin.group(1)
            assert package not in pins, f"{package} is pinned twice"
            pins[package] = (pin.group(2), 0)
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
            version, count = pins[package]
            pins[package] = (version, count + 1)
    return pins


def test_every_locked_package_has_a_hash_and_one_version() -> None:
    for name in ("limpet.txt", "dev.txt"):
        pins = read_pins(name)
        assert pins
        assert [package for package, (_, hashes) in pins.items() if not hashes] == []


def test_the_smaller_lock_is_part_of_the_larger_one() -> None:
    larger = read_pins("dev.txt")
    assert {package: larger.get(package) for package in read_pins("limpet.txt")} == read_pins(
        "limpet.txt"
    )


def test_the_import_contracts_refuse_a_device_that_knows_the_vendor(tmp_path: Path) -> None:
    packages = set(re.findall(r'"(limpet\.[a-z.]+)"', (ROOT / "pyproject.toml").read_text()))
    for name in packages:
        directory = tmp_path / "src" / Path(*name.split("."))
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "__init__.py").touch()
    (tmp_path / "src" / "limpet" / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())

    def lint() -> subprocess.CompletedProcess[str]:
        command = "from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"
        return subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, 'src'); {command}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert lint().returncode == 0
    keeper = tmp_path / "src" / "limpet" / "device" / "keeper" / "__init__.py"
    keeper.write_text("from limpet import vendor\n")
    refused = lint()
    assert refused.returncode == 1
    assert "limpet.device.keeper -> limpet.vendor" in refused.stdout
