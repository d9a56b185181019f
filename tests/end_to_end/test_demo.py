"""The demo, whole: it does what it says."""

import json
from pathlib import Path

import pytest
from tests.end_to_end.demo_run import start, wait_until_gone

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1800)]

SCENES = 15
STATEMENTS = 65


def test_every_scene_shows_what_it_says_and_the_audit_fails_nothing(tmp_path: Path) -> None:
    directory, record = tmp_path / "demo", tmp_path / "demo.json"
    demo = start(directory, "--devices", "3", "--json", str(record))
    output, _ = demo.communicate(timeout=840)
    assert demo.returncode == 0, output[-3000:]
    told = json.loads(record.read_text())
    assert told["ok"] is True
    assert [scene["ok"] for scene in told["scenes"]] == [True] * SCENES
    assert all(scene["facts"] for scene in told["scenes"])
    verdicts = {entry["statement"]: entry["verdict"] for entry in told["audit"]["entries"]}
    assert len(verdicts) == STATEMENTS
    assert "fail" not in verdicts.values()
    assert verdicts["R2.2.1"] == verdicts["R2.4.5a"] == verdicts["R2.5a"] == "pass"
    assert wait_until_gone(tmp_path) == []


def test_a_directory_that_exists_is_not_touched(tmp_path: Path) -> None:
    kept = tmp_path / "mine"
    kept.mkdir()
    demo = start(kept)
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 3
    assert "exists" in output
    assert list(kept.iterdir()) == []
