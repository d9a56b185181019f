"""The parts around tuf-conformance, which work where the suite itself cannot be fetched."""

import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.conformance.suite import PACKAGE, VARIABLE, bring_suite

from limpet.crypto.suites import find_suite
from limpet.errors import Rejected, Unavailable
from limpet.vendor.home import Home, create
from limpet.wire.rollout import plan_path

CLIENT = Path(__file__).with_name("client.py")
PLAN = plan_path("thermostat")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Of Ed25519 alone: the wrapper's suite has what the TUF specification names."""
    return create(
        tmp_path / "vendor",
        Path("examples/thermostat"),
        now=datetime.now(UTC),
        suite=find_suite("limpet-2026"),
    )


@pytest.fixture
def address(home: Home) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(home.repository))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(20)


def run(tmp_path: Path, address: str, *words: str) -> subprocess.CompletedProcess[str]:
    for name in ("metadata", "targets"):
        (tmp_path / name).mkdir(exist_ok=True)
    command = [sys.executable, "-I", str(CLIENT), "--metadata-dir", str(tmp_path / "metadata")]
    command += ["--metadata-url", f"{address}/metadata", "--target-dir", str(tmp_path / "targets")]
    command += ["--target-base-url", f"{address}/targets", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=150)


def test_the_wrapper_downloads_what_is_signed_and_refuses_what_was_changed(
    home: Home, address: str, tmp_path: Path
) -> None:
    root = str(home.repository / "metadata" / "1.root.json")
    assert run(tmp_path, address, "init", root).returncode == 0
    done = run(tmp_path, address, "--target-name", PLAN, "download")
    assert done.returncode == 0, done.stderr
    assert b"idle" in next((tmp_path / "targets").iterdir()).read_bytes()
    assert run(tmp_path, address, "--target-name", "rollout/nothing", "download").returncode == 1

    timestamp = home.repository / "metadata" / "timestamp.json"
    timestamp.write_bytes(timestamp.read_bytes().replace(b'"version":1}', b'"version":9}'))
    refused = run(tmp_path, address, "refresh")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "timestamp" in refused.stderr


def test_a_suite_other_than_the_pinned_one_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "other" / PACKAGE).mkdir(parents=True)
    (tmp_path / "other" / PACKAGE / "test_nothing.py").write_text("def test_all(): pass\n")
    with pytest.raises(Rejected, match="not the pinned one"):
        bring_suite(tmp_path / "here", {VARIABLE: str(tmp_path / "other")})
    with pytest.raises(Unavailable, match="git archive"):
        bring_suite(tmp_path / "there", {VARIABLE: str(tmp_path / "nowhere")})
