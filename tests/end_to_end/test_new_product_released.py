"""From `limpet new` to a release that the gate has passed: by the commands in the README that it
writes, and by nothing else."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.device.workshop import lacking_here
from tests.release.advisories.records import record, write_directory
from tests.release.packages.real import CACHE

from limpet.cli.main import run
from limpet.demo.world import bear_gaps
from limpet.release import load_built
from limpet.release.gate import RULES

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end, pytest.mark.timeout(1200)]

# The command as it is, but that it packs images less tightly: half a minute of CPU less.
LIMPET = """#!{python}
import sys
from limpet.firmware.image import build_image
build_image.__kwdefaults__["level"] = 1
from limpet.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
PEOPLE = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "A Developer"), ("EMAIL", "developer@example.com"))
}


def commands(readme: str) -> list[list[str]]:
    """The lines of each block of shell commands."""
    return [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)]


@pytest.fixture
def types(tmp_path: Path) -> Callable[[str], str]:
    """Types one line into a shell in the new product's directory; what it printed."""
    shim = tmp_path / "bin" / "limpet"
    shim.parent.mkdir()
    shim.write_text(LIMPET.format(python=sys.executable))
    shim.chmod(0o755)
    own = {
        "PATH": f"{shim.parent}:{os.environ['PATH']}",
        "LIMPET_CACHE": str(CACHE),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **PEOPLE,
    }

    def type_line(line: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=tmp_path / "garden-box",
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return type_line


def test_a_new_product_passes_the_gate_by_the_commands_of_its_readme(
    tmp_path: Path, types: Callable[[str], str]
) -> None:
    assert run(["new", "garden-box", "--into", str(tmp_path)]) == 0
    product = tmp_path / "garden-box"
    if lacking_here():  # as its developer has to, whose machine lacks something
        bear_gaps(product / "product.toml", lacking_here())
    for ecosystem, kind in (("PyPI", "ECOSYSTEM"), ("crates.io", "SEMVER")):
        fresh = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        named = f"TEST-{kind}"
        made_up = record(named, "made-up", ecosystem=ecosystem, kind=kind, modified=fresh)
        write_directory(tmp_path / "osv" / ecosystem, made_up)
    to_the_gate, after_it = commands((product / "README.md").read_text())
    *before, check = to_the_gate
    for line in before:
        types(line)
    report = json.loads(types(f"{check} --json"))
    assert {one["rule"]: one["finding"]["verdict"] for one in report["judgements"]} == {
        one.id: "not applicable" if one.id == "commits-signed" else "passed" for one in RULES
    }
    head = types("git rev-parse HEAD").strip()
    assert load_built(tmp_path / "release-1.0.0").manifest.source_commit == head
    assert types("git status --porcelain") == ""
    *handing_over, start = after_it
    assert start == "limpet device run ../devices/SERIAL"
    for line in handing_over:
        types(line)
    assert [one.name for one in (tmp_path / "devices").iterdir() if (one / "slots").is_dir()]
