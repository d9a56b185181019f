"""`limpet product` as a person and as a program meet it."""

import json
from pathlib import Path

import msgspec
import pytest

from limpet.cli.main import run
from limpet.product import Product

ROOT = Path(__file__).parents[2]
SPECIMENS = Path(__file__).parent / "specimens"


@pytest.fixture
def product(tmp_path: Path) -> Path:
    # The command goes by today's date, so its specimen's dates lie far ahead. Names are noted.
    text = (SPECIMENS / "sound.toml").read_text(encoding="utf-8")
    text = text.replace("example.com", "maker.dev")
    copy = tmp_path / "product.toml"
    copy.write_text(text.replace("= 2027-", "= 2090-").replace("= 2030-", "= 2090-"), "utf-8")
    return copy


def break_line(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_sound_design_is_counted_and_called_sound(
    product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["product", "check", str(product.parent)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{product}: 2 interfaces, 3 threats, 2 measures: no problem\n"
    assert err == ""


def test_a_problem_is_one_line_with_a_hint_and_status_one(
    product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    break_line(product, 'measures = ["tls-only"]', 'measures = ["tls-onyl"]')
    assert run(["product", "check", str(product)]) == 1
    out, err = capsys.readouterr()
    line = product.read_text(encoding="utf-8").split("\n").index('measures = ["tls-onyl"]') + 1
    where = f"{product}:{line}: threats.eavesdropping.measures: "
    assert out.startswith(f'{where}no measure named "tls-onyl"\n  hint: did you mean "tls-only"?\n')
    assert err == ""


APP = """
app = App(Lamp)

@app.reading(summary="Brightness")
def level(lamp) -> int: ...

@app.reading(summary="The last hours")
def past(lamp, hours: int = 3, *, unit: str = "h") -> int: ...

@app.reading(summary="One hour")
def hour(lamp, number: int) -> int: ...

@app.action(summary="Light")
def light(lamp) -> None: ...

def secret(lamp) -> int: ...
"""


def test_a_health_check_asks_for_readings_of_the_app_that_need_no_argument(
    product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (product.parent / "app" / "lamp").mkdir(parents=True)
    (product.parent / "app" / "lamp" / "__init__.py").write_text(APP)
    (product.parent / "app" / "lamp" / "broken.py").write_text("def (")
    whole = product.read_text(encoding="utf-8")
    table = "[update.health]\nanswer_seconds = 1\nfunctions = "
    product.write_text(f'{whole}\n{table}["level", "past"]\n', "utf-8")
    assert run(["product", "check", str(product)]) == 0, capsys.readouterr().out
    capsys.readouterr()
    product.write_text(f'{whole}\n{table}["level", "hour", "light", "secret"]\n', "utf-8")
    assert run(["product", "check", str(product)]) == 1
    out = capsys.readouterr().out
    for fault in ('"hour" needs an argument', '"light" is an action', '"secret" is no function'):
        assert f"update.health.functions: {fault}" in out
    assert '"level"' not in out


def test_a_warning_alone_is_told_and_passes(
    product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    break_line(product, "until = 2090-12-31", "until = 2020-12-31")
    assert run(["product", "check", str(product.parent)]) == 0
    out = capsys.readouterr().out
    assert "warning: support.until: support ended on 2020-12-31" in out
    assert out.endswith("1 warning\n")


def test_a_program_gets_the_problems_as_json(
    product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    break_line(product, 'checks = ["R2.2.1"]', "checks = []")
    assert run(["product", "check", str(product.parent), "--json"]) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert not verdict["ok"]
    assert [problem["key"] for problem in verdict["problems"]] == ["measures.throttle.checks"]
    assert verdict["problems"][0]["line"] > 1


def test_a_pointer_to_code_that_is_gone_is_a_problem(
    product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    break_line(product, "limpet.errors:Rejected", "limpet.errors:Vanished")
    assert run(["product", "check", str(product.parent)]) == 1
    assert 'no code at "limpet.errors:Vanished"' in capsys.readouterr().out


def test_a_pointer_into_the_products_own_app_is_followed(
    product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    break_line(product, "limpet.errors:Rejected", "lamp.light:switch")
    assert run(["product", "check", str(product.parent)]) == 1
    package = product.parent / "app" / "lamp"
    package.mkdir(parents=True)
    (package / "light.py").write_text("def switch() -> None:\n    pass\n", encoding="utf-8")
    assert run(["product", "check", str(product.parent)]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_missing_directory_or_file_is_one_clear_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, words in ((tmp_path / "none", "no directory"), (tmp_path, "no product.toml in")):
        assert run(["product", command, str(place)]) == 3
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("limpet: error: there is ")
        assert words in err
        assert "Traceback" not in err


def test_the_thermostats_pointers_all_lead_to_code(capsys: pytest.CaptureFixture[str]) -> None:
    run(["product", "check", str(ROOT / "examples" / "thermostat"), "--json"])
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [problem["message"] for problem in problems if problem["key"].endswith(".code")] == []


def test_show_refuses_a_broken_design_with_its_line(
    product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    break_line(product, "[support]", "[suport]")
    assert run(["product", "show", str(product.parent)]) == 1
    assert f"{product}:" in capsys.readouterr().err


def test_show_prints_threats_with_their_answers(
    product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["product", "show", str(product.parent)]) == 0
    out = capsys.readouterr().out
    assert "Example Instruments Lamp (model lamp)" in out
    assert "accepted by the product security lead, review by 2090-01-31" in out


def test_show_gives_a_program_the_whole_design(
    product: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["product", "show", str(product.parent), "--json"]) == 0
    again = msgspec.json.decode(capsys.readouterr().out, type=Product)
    assert again.model.name == "lamp"


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["product"], ["product", "check"], ["product", "show"]):
        assert run([*command, "--help"]) == 0
        assert "Example: limpet product" in capsys.readouterr().out


def keys_of(struct: type[msgspec.Struct]) -> set[str]:
    keys = set()
    for field in msgspec.structs.fields(struct):
        keys.add(field.name)
        for part in (field.type, *getattr(field.type, "__args__", ())):
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                keys |= keys_of(part)
    return keys


def test_the_documentation_names_every_key_of_the_file() -> None:
    page = (ROOT / "docs" / "product-file.md").read_text(encoding="utf-8")
    keys = keys_of(Product)
    assert {"max_hold_days", "review_by", "peers"} <= keys
    assert [key for key in sorted(keys) if key not in page] == []
