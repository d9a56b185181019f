"""Each rule against a design file that breaks it, and against one that does not."""

import importlib.util
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from limpet.errors import Rejected
from limpet.product import Context, Severity, examine_product, load_product, read_problems
from limpet.product._rules import RULES
from limpet.requirements import load_statements

HERE = Path(__file__).parent / "specimens"
ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 22)
MARK = "#! "


def fault_of(pointer: str) -> str:
    return "" if pointer == "limpet.errors:Rejected" else "nothing there"


def unreadable(function: str) -> str:
    return "is no function that the app declares" if function == "explode" else ""


CONTEXT = Context(
    statements=frozenset(statement.id for statement in load_statements()),
    today=TODAY,
    code_fault=fault_of,
    reading_fault=unreadable,
)
BROKEN = sorted(path for path in HERE.glob("*.toml") if path.stem != "sound")


def expected_of(path: Path) -> list[tuple[int, str]]:
    lines = path.read_text(encoding="utf-8").split("\n")
    return [
        (number, line.partition(MARK)[2]) for number, line in enumerate(lines, 1) if MARK in line
    ]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("specimen_maker", HERE / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sound_specimen_has_no_problem() -> None:
    assert read_problems(HERE / "sound.toml", context=CONTEXT) == ()
    assert load_product(HERE / "sound.toml", context=CONTEXT).model.name == "lamp"


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_design_is_refused_on_the_very_line(path: Path) -> None:
    problems = read_problems(path, context=CONTEXT)
    expected = expected_of(path)
    if path.stem == "endless-number":  # Python says no line for it
        assert [problem.message for problem in problems] == ["holds a value that cannot be read"]
        return
    assert expected, "a specimen marks its line"
    assert [problem.line for problem in problems] == [line for line, _ in expected]
    for problem, (_, words) in zip(problems, expected, strict=True):
        assert words in problem.text("x")


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_loading_refuses_what_the_check_calls_an_error(path: Path) -> None:
    problems = read_problems(path, context=CONTEXT)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if not errors:
        assert load_product(path, context=CONTEXT).model.name == "lamp"
        return
    with pytest.raises(Rejected) as refusal:
        load_product(path, context=CONTEXT)
    assert refusal.value.reason == "product-file"
    assert refusal.value.message.split("\n") == [problem.text(str(path)) for problem in errors]


def test_the_committed_specimens_are_the_generators() -> None:
    make = generator()
    committed = {path.stem: path.read_text(encoding="utf-8") for path in HERE.glob("*.toml")}
    made = {name: make.specimen(name) for name in make.BROKEN}
    assert committed == made | {"sound": make.SOUND}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_rule_has_a_specimen_that_it_refuses(rule: object) -> None:
    assert callable(rule)
    broken_by = [
        path.stem
        for path in BROKEN
        for product in [examine_product(path.read_bytes())[0]]
        if product is not None and list(rule(product, CONTEXT))
    ]
    assert broken_by


def test_a_device_without_clock_or_statements_loads_a_design_whose_dates_have_passed() -> None:
    for name in ("acceptance-past-its-review", "contact-is-stale", "unknown-check"):
        assert load_product(HERE / f"{name}.toml").model.name == "lamp"


def test_two_problems_are_both_reported() -> None:
    problems = read_problems(HERE / "two-shapes-at-once.toml", context=CONTEXT)
    assert [problem.key for problem in problems] == ["interfaces.api.color", "update.speed"]


def test_a_slip_of_the_pen_gets_a_hint() -> None:
    problems = read_problems(HERE / "threat-names-no-such-interface.toml", context=CONTEXT)
    assert problems[0].hint == 'did you mean "api"?'


def test_the_thermostat_is_a_sound_design_with_a_dozen_threats() -> None:
    """Its pointers to code are followed in `test_command`."""
    context = Context(statements=CONTEXT.statements, today=TODAY)
    path = ROOT / "examples" / "thermostat" / "product.toml"
    assert read_problems(path, context=context) == ()
    product = load_product(path, context=context)
    assert len(product.threats) >= 12
    assert product.update.automatic
    assert product.update.default_window is None
    assert product.support.until == date(2031, 12, 31)
