"""Every fuzz target for a short time, by the driver that this machine has."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.driver import run_mutations
from fuzz.names import TARGET_NAMES
from fuzz.seeds import make_seeds
from fuzz.targets import JSON_KINDS, TARGETS

from limpet.device.accounts.service import AccountsService
from limpet.device.link import messages as m

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "limpet"
SECONDS = 5
SPECIMENS = Path(__file__).with_name("specimens")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the run of each target said; one command for all, which instruments the code once."""
    findings = tmp_path_factory.mktemp("findings")
    command = [sys.executable, "-m", "fuzz", *TARGET_NAMES, "--seconds", str(SECONDS)]
    done = subprocess.run(
        [*command, "--findings", str(findings)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    begun = re.split(r"^(\S+): driver .*$", done.stdout, flags=re.MULTILINE)
    assert len(begun) > 1, done.stdout[-4000:]
    return dict(zip(begun[1::2], begun[2::2], strict=True))


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_nothing_breaks_a_target_in_a_few_seconds(name: str, said: dict[str, str]) -> None:
    assert f"{name}: ended with status 0\n" in said[name], said[name][-4000:]
    assert "Done " in said[name], said[name][-4000:]  # both drivers say how many runs they made


# The longer end lasts longer than the clock of one input.
PLANTED = """
import atexit, sys, time
import fuzz.__main__, fuzz.targets

def planted(data):
    if b"\\xff" in data:
        if "atheris" in sys.argv:
            atexit.register(time.sleep, fuzz.__main__.INPUT_SECONDS + 2)
        raise KeyError("planted")

fuzz.targets.TARGETS["label"] = planted
sys.exit(fuzz.__main__.main())
"""


@pytest.mark.parametrize("driver", ["mutations", "atheris"])
def test_the_command_keeps_what_breaks_a_target_and_goes_on_with_the_next(
    driver: str, tmp_path: Path
) -> None:
    if driver == "atheris":
        pytest.importorskip("atheris")
    options = ["--seconds", "2", "--driver", driver, "--findings", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", PLANTED, "label", "query", *options],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout[-4000:]
    assert re.search(r"^label: ended with status [^0]", done.stdout, re.MULTILINE)
    assert "\nquery: ended with status 0\n" in done.stdout
    assert done.stdout.endswith("found something in: label\n")
    kept = [file.read_bytes() for file in tmp_path.iterdir() if file.is_file()]
    assert len(kept) == 1, done.stdout[-4000:]
    assert b"\xff" in kept[0]


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


# Read by name in the source, and fuzzed under another name or as part of another kind.
NOT_BY_NAME = {
    "Seen": "what the gate's own watcher says of the device that it started",
    "_REPLY": "factory.DeviceReply",
    "_Document": "what this project itself has written, read back to be shown",
    "m.ClaimState": "one word of another role; target packed",
    "Document": "a bill of materials; target sbom",
    "_Root": "the vendor's own root of trust, when it builds; python-tuf verifies it on a device",
    "kind": "the caller names it",
    "wanted": "the body of a route: every one in the table is fuzzed",
    "function.arguments": "made from the product's own functions; target query, and their tests",
}


def test_every_document_that_is_read_anywhere_is_fuzzed() -> None:
    """By the source: each type that `decode_json` or msgspec is given."""
    fuzzed = {getattr(kind, "__name__", str(kind)) for kind in JSON_KINDS}
    named = {name for path in sorted(SOURCE.rglob("*.py")) for name in _decoded_in(path)}
    assert len(named) > 20
    missing = {name for name in named if name not in fuzzed and name not in NOT_BY_NAME}
    assert not missing, f"give {missing} to JSON_KINDS in fuzz/targets.py"


def _decoded_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        function = ast.unparse(node.func)
        if function.endswith("decode_json") and len(node.args) > 1:
            found = ast.unparse(node.args[1])
        elif function.endswith("json.decode"):
            found = next((ast.unparse(k.value) for k in node.keywords if k.arg == "type"), "")
        else:
            continue
        # Plain containers hold no shape of ours to get wrong.
        if found and not found.startswith(("dict[", "list[", "tuple[")):
            yield found


def test_the_ownership_target_notices_a_token_that_outlives_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def keep(self: AccountsService, request: m.Logout) -> m.Reply:
        return m.Done()

    monkeypatch.setattr(AccountsService, "logout", keep)
    with pytest.raises(AssertionError, match="was ended"):
        TARGETS["ownership"](make_seeds()["ownership"]["claim-and-use"])


def test_the_small_driver_finds_a_planted_defect_and_keeps_the_input(tmp_path: Path) -> None:
    def planted(data: bytes) -> None:
        if b"\xff" in data:
            raise KeyError("planted")

    corpus = ROOT / "fuzz" / "corpus" / "label"
    assert run_mutations(planted, corpus=corpus, findings=tmp_path, seconds=20, seed=7) == 1
    (kept,) = tmp_path.iterdir()
    assert b"\xff" in kept.read_bytes()
