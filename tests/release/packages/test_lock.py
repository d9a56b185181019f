"""A device's lock: read strictly, and limpet's own is the one that its runtime needs."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from limpet.errors import Rejected, Unavailable
from limpet.release.packages import LIMPET_LOCK, RUNTIME_NEEDS, Target
from limpet.release.packages._lock import LOCK_BYTES, load_lock, parse_lock

ROOT = Path(__file__).parents[3]
HASH = "--hash=sha256:" + "0f" * 32
TARGET = Target("manylinux_2_36_x86_64", "3.11")


def test_what_the_runtime_needs_is_the_extra_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert list(RUNTIME_NEEDS) == project["optional-dependencies"]["device"]


def test_limpets_own_lock_has_all_of_it_in_versions_of_the_larger_lock() -> None:
    chosen = load_lock(LIMPET_LOCK).select(TARGET.environment)
    for need in map(Requirement, RUNTIME_NEEDS):
        assert need.specifier.contains(chosen[canonicalize_name(need.name)].version)
    larger = load_lock(ROOT / "locks" / "limpet.txt").select(TARGET.environment)
    assert {name: (one.version, one.hashes) for name, one in chosen.items()} == {
        name: (larger[name].version, larger[name].hashes) for name in chosen
    }


def test_a_lock_is_read_as_pip_reads_it() -> None:
    text = (
        f"# made by a tool\n\nOne_Package==1.0 \\\n    {HASH} \\\n    {HASH[:-1]}0\n    # via two\n"
        f'two==2!1.0.post1 ; python_version < "3.12" and sys_platform != "win32" {HASH}\n'
        f"three==3; sys_platform == 'win32' {HASH}\n"
    )
    lock = parse_lock(text.encode(), "device.lock")
    assert [one.name for one in lock.packages] == ["one-package", "two", "three"]
    assert len(lock.packages[0].hashes) == 2
    assert lock.packages[1].place == "device.lock:7"
    assert sorted(lock.select(TARGET.environment)) == ["one-package", "two"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("urllib3==2.8.0", "no hash"),
        ('urllib3==2.8.0 ; python_version > "3"', "no hash"),
        (f"urllib3>=2.8.0 {HASH}", "not pinned"),
        (f"urllib3==2.* {HASH}", "not pinned"),
        (f"urllib3 {HASH}", "not pinned"),
        (f"urllib3[socks]==2.8.0 {HASH}", "not pinned"),
        (f"urllib3==2.8.0 --hash=md5:{'0' * 32}", "not pinned"),
        (f"urllib3==2.8.0 {HASH} --no-binary urllib3", "not pinned"),
        (f"urllib3==2.8.0 {HASH[:-1]}", "not pinned"),
        (f"urllib3==2.8.0 {HASH} # looked at", "not pinned"),
        (f"urllib3==two {HASH}", "Invalid version"),
        (f'urllib3==2.8.0 ; python_versoin < "3" {HASH}', "python_versoin"),
        (f"urllib3 @ https://example.com/urllib3.whl {HASH}", "address"),
        (f"https://example.com/urllib3-2.8.0-py3-none-any.whl {HASH}", "address"),
        (f"./urllib3-2.8.0-py3-none-any.whl {HASH}", "address"),
        ("--extra-index-url=elsewhere", "an option"),
        ("-r other.txt", "an option"),
        ("-e .", "an option"),
        (f"urllib3==2.8.0 {HASH}\\", "goes on"),
        (f"urllib3==2.8.0 {HASH}\nurllib3==2.8.0 {HASH}x", "not pinned"),
    ],
)
def test_a_line_that_locks_nothing_is_refused_with_its_number(line: str, says: str) -> None:
    text = f"# first\nh11==0.16.0 {HASH}\n{line}"
    with pytest.raises(Rejected) as refused:
        parse_lock(text.encode(), "device.lock")
    assert refused.value.reason == "bad-lock"
    assert says in refused.value.message
    assert f"device.lock:{3 + line.count(chr(10))}" in refused.value.message


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "locks nothing"),
        (b"# only words\n", "locks nothing"),
        ("h11==0.16.0\u00a0--hash".encode(), "not ASCII"),
        (f"a==1 {HASH}\n".encode() * 401, "more than 400"),
        (b"a==1 \\\n" + f"  {HASH} \\\n".encode() * 1000, "too long"),
    ],
)
def test_a_lock_without_bounds_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(Rejected, match=says):
        parse_lock(data, "device.lock")


def test_a_lock_that_is_too_large_or_missing_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "device.lock").write_bytes(b"#" * (LOCK_BYTES + 1))
    with pytest.raises(Rejected, match=r"device\.lock"):
        load_lock(tmp_path / "device.lock")
    with pytest.raises(Unavailable, match=r"none\.lock"):
        load_lock(tmp_path / "none.lock")


def test_two_lines_for_one_package_must_not_both_hold() -> None:
    text = f"a==1 ; python_version < '3.12' {HASH}\na==2 ; python_version >= '3.12' {HASH}\n"
    lock = parse_lock(text.encode(), "device.lock")
    assert str(lock.select(TARGET.environment)["a"].version) == "1"
    both = parse_lock(f"a==1 {HASH}\nA==2 {HASH}\n".encode(), "device.lock")
    with pytest.raises(Rejected, match=r"device\.lock:2: a again, after device\.lock:1"):
        both.select(TARGET.environment)
