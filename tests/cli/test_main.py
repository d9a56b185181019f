"""The table of commands: what is listed, what is loaded, and how wrong usage ends."""

import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import limpet.cli
from limpet import __version__
from limpet.cli import main
from limpet.cli.main import COMMANDS, CommandSpec, run

HEAVY = {"cryptography", "fpdf2", "jinja2", "sqlalchemy", "starlette", "tuf", "urllib3"}
PRESENT = [spec for spec in COMMANDS if importlib.util.find_spec(spec.module)]


def test_a_command_loads_itself_and_no_other() -> None:
    code = (
        "import sys, json\n"
        "from limpet.cli.main import run\n"
        "status = run(['requirements', 'show', 'R1a', '--json'])\n"
        "print(json.dumps([status, sorted(sys.modules)]), file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=150, check=True
    )
    status, modules = json.loads(result.stderr)
    assert status == 0
    assert HEAVY & set(modules) == set()
    loaded = {name for name in modules if name.startswith("limpet.cli.")}
    assert loaded == {"limpet.cli._frame", "limpet.cli.main", "limpet.cli.requirements"}


def test_the_vendor_s_service_loads_nothing_that_signs_releases() -> None:
    code = (
        "import json, sys\n"
        "import limpet.cli.vendor, limpet.vendor.front\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=150, check=True
    )
    modules = json.loads(result.stdout)
    assert "limpet.vendor.front" in modules
    assert [name for name in modules if name.startswith("limpet.release")] == []


def test_the_help_lists_every_command_that_is_there_and_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for spec in COMMANDS:
        assert (f" {spec.name} " in text) == (spec in PRESENT)


def test_no_words_at_all_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "requirements" in capsys.readouterr().out


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"limpet {__version__}\n"


@pytest.mark.parametrize(
    "words", [["nosuch"], ["requirements", "nosuch"], ["requirements", "--nosuch"], ["--nosuch"]]
)
def test_wrong_usage_ends_with_2_and_nothing_on_standard_output(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "nosuch" in err
    assert "Traceback" not in err


def test_a_command_whose_package_is_not_installed_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "telescope.py").write_text("import lens_grinder.fine\n")
    monkeypatch.setattr(limpet.cli, "__path__", [*limpet.cli.__path__, str(tmp_path)])
    monkeypatch.setattr(main, "COMMANDS", (CommandSpec("telescope", "Look far."),))
    assert run(["telescope"]) == 3
    assert capsys.readouterr().err == (
        "limpet: error: `limpet telescope` needs the package lens_grinder, which is not installed\n"
        "  hint: pip install 'limpet[all]', or run it through ./run\n"
    )


def find_commands(app: typer.Typer, path: str) -> Iterator[tuple[str, str]]:
    """Name and help text, epilog included, of each command of `app`."""
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.replace("_", "-")
        text = command.help or command.callback.__doc__ or ""
        yield f"{path} {name}", f"{text}\n{command.epilog or ''}"
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from find_commands(group.typer_instance, f"{path} {group.name or ''}")


@pytest.mark.parametrize("spec", PRESENT, ids=lambda spec: spec.name)
def test_every_command_explains_itself_with_an_example(spec: object) -> None:
    app = importlib.import_module(spec.module).app  # type: ignore[attr-defined]
    commands = list(find_commands(app, spec.name))  # type: ignore[attr-defined]
    without = [name for name, text in commands if "Example" not in text or "limpet " not in text]
    assert without == []
