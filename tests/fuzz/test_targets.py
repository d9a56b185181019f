"""Every fuzz target for a short time, by the driver that this machine has."""

import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.driver import run_mutations
from fuzz.names import TARGET_NAMES
from fuzz.seeds import make_seeds
from fuzz.targets import TARGETS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SECONDS = 5
SPECIMENS = Path(__file__).with_name("specimens")


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_nothing_breaks_a_target_in_a_few_seconds(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz", name, "--seconds", str(SECONDS)]
    done = subprocess.run(
        [*command, "--findings", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert "Done " in said, said[-4000:]  # both drivers say how many runs they made


@pytest.mark.parametrize("specimen", sorted(SPECIMENS.iterdir()), ids=lambda path: path.name)
def test_what_was_found_once_stays_fixed(specimen: Path) -> None:
    TARGETS[specimen.name.partition(".")[0]](specimen.read_bytes())


def test_every_target_has_seeds_and_they_pass() -> None:
    assert sorted(make_seeds()) == sorted(TARGET_NAMES)
    for name in TARGET_NAMES:
        seeds = list((ROOT / "fuzz" / "corpus" / name).iterdir())
        assert {path.name for path in seeds} >= set(make_seeds()[name])
        for path in seeds:
            TARGETS[name](path.read_bytes())


def test_the_small_driver_finds_a_planted_defect_and_keeps_the_input(tmp_path: Path) -> None:
    def planted(data: bytes) -> None:
        if b"\xff" in data:
            raise KeyError("planted")

    corpus = ROOT / "fuzz" / "corpus" / "label"
    assert run_mutations(planted, corpus=corpus, findings=tmp_path, seconds=20, seed=7) == 1
    (kept,) = tmp_path.iterdir()
    assert b"\xff" in kept.read_bytes()
