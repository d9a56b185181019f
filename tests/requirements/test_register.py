"""The register against the tree: every pointer leads somewhere, and the check can fail."""

from pathlib import Path

import pytest

from limpet.errors import Rejected
from limpet.requirements import (
    PointerKind,
    Statement,
    find_source_tree,
    load_statements,
    parse_register,
    resolve_pointer,
    verify_register,
)

ROOT = Path(__file__).resolve().parents[2]
SPECIMENS = Path(__file__).parent / "specimens"
TREE = SPECIMENS / "tree"
LOCK = "src/limpet/door/_lock.py"

# What verify_register must say of each specimen.
FAULTS = {
    "check-outside-the-audit": "an audit check is a module below limpet.audit",
    "check-that-is-not-there": "there is no module limpet.audit.r1b",
    "entry-missing": "the register has no entry for it",
    "entry-without-statement": "the register has an entry, but there is no statement",
    "file-by-a-crooked-path": "a file is named by its plain path",
    "file-by-an-absolute-path": "a file is named by its plain path",
    "file-outside-the-tree": "a file is named by its plain path",
    "file-that-is-not-there": "there is no file docs/windows.md",
    "heading-inside-a-code-block": "docs/doors.md has no heading #not-a-heading",
    "heading-that-is-not-there": "docs/doors.md has no heading #hinges",
    "heading-with-one-repeat-too-many": "docs/doors.md has no heading #repeated-2",
    "method-of-a-function": "there is no turn.slide in it",
    "method-that-is-not-there": "there is no Bolt.jam in it",
    "module-that-is-not-there": "there is no module limpet.window",
    "name-in-a-page": "a name can follow a Python file only",
    "name-only-imported": "turn is only imported there",
    "name-that-is-not-there": "there is no shut in it",
    "test-that-is-a-class": 'a test is "path::test_name"',
    "test-that-is-not-there": "there is no test_a_friend_is_let_in in it",
    "test-without-a-name": 'a test is "path::test_name"',
}


def first_statement() -> tuple[Statement, ...]:
    return load_statements()[:1]


def test_every_pointer_of_the_register_resolves_and_every_statement_has_its_entry() -> None:
    assert [str(fault) for fault in verify_register(ROOT)] == []


def test_a_good_register_has_no_fault() -> None:
    register = parse_register((SPECIMENS / "registers" / "good.toml").read_bytes())
    assert verify_register(TREE, statements=first_statement(), register=register) == ()


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_each_specimen_is_found_to_be_at_fault(name: str) -> None:
    register = parse_register((SPECIMENS / "registers" / f"{name}.toml").read_bytes())
    faults = verify_register(TREE, statements=first_statement(), register=register)
    assert len(faults) == 1
    assert FAULTS[name] in str(faults[0])


def test_every_specimen_is_used() -> None:
    names = {path.stem for path in (SPECIMENS / "registers").glob("*.toml")}
    assert names == {*FAULTS, "good"}


def test_all_faults_are_reported_at_once() -> None:
    register = parse_register(b'[R1a]\ncode = ["limpet.a", "limpet.b"]\naudit = ["limpet.audit.c"]')
    assert len(verify_register(TREE, statements=first_statement(), register=register)) == 3


@pytest.mark.parametrize(
    ("kind", "pointer", "at"),
    [
        (PointerKind.CODE, "limpet.door", "src/limpet/door/__init__.py:1"),
        (PointerKind.CODE, "limpet.door._lock:turn", f"{LOCK}:10"),
        (PointerKind.CODE, "limpet.door._lock:SPRINGS", f"{LOCK}:5"),
        (PointerKind.CODE, f"{LOCK}:Bolt.slide", f"{LOCK}:17"),
        (
            PointerKind.TESTS,
            "tests/door_tests.py::TestBolt::test_it_slides",
            "tests/door_tests.py:11",
        ),
        (PointerKind.DOCUMENTS, "docs/doors.md#the-lock-and-its-key", "docs/doors.md:7"),
        (PointerKind.DOCUMENTS, "docs/doors.md#repeated-1", "docs/doors.md:11"),
    ],
)
def test_a_pointer_leads_to_the_line_of_its_definition(
    kind: PointerKind, pointer: str, at: str
) -> None:
    assert str(resolve_pointer(TREE, kind, pointer)) == at


def test_a_file_that_is_not_python_any_more_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "src" / "limpet").mkdir(parents=True)
    (tmp_path / "src" / "limpet" / "broken.py").write_text("def open(:\n")
    with pytest.raises(Rejected, match="not valid Python"):
        resolve_pointer(tmp_path, PointerKind.CODE, "limpet.broken:open")


def test_an_installed_limpet_has_no_source_tree(tmp_path: Path) -> None:
    assert find_source_tree(tmp_path / "site-packages" / "limpet") is None
    assert find_source_tree() == ROOT
