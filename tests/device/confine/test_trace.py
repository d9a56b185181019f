"""The policy of system calls holds for a device's whole life; and the tracer would see if not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.device.confine.trace import LIFE, STEM, holds, refused_by_surprise, unused
from tests.device.confine.tracing import STRACE, Made, read_trace
from tests.device.workshop import SRC, example_product, lacking_here
from tests.needs import need

from limpet.device.confine._allowed import Compartment

ATTACKS = Path(__file__).with_name("attacks.py")
LIFE_SECONDS = 1200


@pytest.fixture
def strace() -> None:
    need("strace", package="strace", untried="no call of a device was held against its policy")
    if "seccomp" in dict(lacking_here()):
        pytest.skip("there is no filter here whose calls could be told apart")


@pytest.mark.slow
@pytest.mark.end_to_end
@pytest.mark.timeout(LIFE_SECONDS + 60)
@pytest.mark.usefixtures("strace")
def test_every_call_of_a_whole_life_is_allowed_and_every_grant_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.device.confine.trace"],
        capture_output=True, text=True, timeout=LIFE_SECONDS, cwd=SRC.parents[1],
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for compartment in Compartment:
        assert f"{compartment.value}: " in done.stdout
    assert all((SRC.parents[1] / test).exists() for test in LIFE)


@pytest.fixture
def hostile_run(strace: None, tmp_path: Path) -> Sequence[Made]:
    """What strace says of a confined keeper that tries what it may not."""
    root = tmp_path / "device"
    for name in ("slots/a", "other", "keeper"):
        (root / name).mkdir(parents=True)
    (root / "other" / "secret").write_bytes(b"secret")
    (root / "slots" / "a" / "file").write_bytes(b"firmware")
    shutil.copy(example_product() / "product.toml", root / "slots" / "a")
    place = tmp_path / "trace"
    place.mkdir()
    program = [sys.executable, "-B", str(ATTACKS), "keeper", str(root), str(os.getpid())]
    subprocess.run(
        [*STRACE, str(place / STEM), *program],
        capture_output=True, timeout=150, env={"PYTHONPATH": str(SRC.parent)}, check=True,
    )  # fmt: skip
    return list(read_trace(place, STEM))


def test_a_call_that_is_not_allowed_is_seen(
    hostile_run: Sequence[Made], capsys: pytest.CaptureFixture[str]
) -> None:
    assert {one.compartment for one in hostile_run} == {Compartment.KEEPER}
    seen = {one.name for one in refused_by_surprise(hostile_run)}
    assert {"execve", "clone", "kill", "ptrace", "socket", "mount", "bpf"} <= seen
    assert seen.isdisjoint({"read", "openat", "rename", "mmap", "clone3"})
    assert not holds(hostile_run, whole=False)
    assert "NOT ALLOWED keeper: ptrace" in capsys.readouterr().out


def test_a_grant_that_nobody_uses_is_seen(hostile_run: Sequence[Made]) -> None:
    never = {call.name for _, call in unused(hostile_run)}
    assert {"accept4", "memfd_create", "epoll_wait"} <= never
    assert never.isdisjoint({"openat", "rename", "mmap"})


def test_what_is_done_before_confinement_does_not_count(hostile_run: Sequence[Made]) -> None:
    assert {"seccomp", "capset", "landlock_restrict_self"}.isdisjoint(
        one.name for one in hostile_run
    )
