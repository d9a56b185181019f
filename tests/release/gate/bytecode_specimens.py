"""Specimens of byte code that no source of the image gives: what a device would run unseen."""

import importlib.util
import marshal
import py_compile
from pathlib import Path

from tests.release.gate.bench import Bench
from tests.release.gate.table import specimen

from limpet.release._bytecode import PYTHON_TAG

SOURCE = "app/thermostat/functions.py"
CODE = f"app/thermostat/__pycache__/functions.{PYTHON_TAG}.pyc"
RULE = "byte-code-matches"
HEADER_BYTES = 16


@specimen(RULE, f"{CODE}: is not what its source compiles to")
def byte_code_with_an_addition_under_the_hash_of_its_source(bench: Bench) -> None:
    def change(tree: Path) -> None:
        source, path = (tree / SOURCE).read_bytes(), tree / CODE
        other = compile(source + b"\nBACK_DOOR = True\n", SOURCE, "exec", dont_inherit=True)
        path.write_bytes(path.read_bytes()[:HEADER_BYTES] + marshal.dumps(other, 2))

    bench.spoil_image(change)


@specimen(RULE, f"{CODE}: is not what its source compiles to")
def byte_code_that_is_believed_by_its_date(bench: Bench) -> None:
    def change(tree: Path) -> None:
        py_compile.compile(str(tree / SOURCE), str(tree / CODE), SOURCE, doraise=True)

    bench.spoil_image(change)


@specimen(RULE, "is byte code, or beside it")
def byte_code_whose_source_is_gone(bench: Bench) -> None:
    def change(tree: Path) -> None:
        (tree / CODE).with_name(f"extra.{PYTHON_TAG}.pyc").write_bytes((tree / CODE).read_bytes())

    bench.spoil_image(change)


@specimen(RULE, "is byte code, or beside it")
def byte_code_in_the_place_of_a_source(bench: Bench) -> None:
    """Python takes `extra.pyc` where there is no `extra.py`."""

    def change(tree: Path) -> None:
        (tree / "runtime" / "limpet" / "extra.pyc").write_bytes((tree / CODE).read_bytes())

    bench.spoil_image(change)


@specimen(RULE, "is byte code, or beside it")
def a_source_that_hides_among_byte_code(bench: Bench) -> None:
    def change(tree: Path) -> None:
        (tree / CODE).with_name("extra.py").write_text("BACK_DOOR = True\n")

    bench.spoil_image(change)


@specimen(RULE, "is not of the gate's Python")
def byte_code_for_a_python_that_the_gate_does_not_run(bench: Bench) -> None:
    def change(tree: Path) -> None:
        code = (tree / CODE).read_bytes()[len(importlib.util.MAGIC_NUMBER) :]
        (tree / CODE).with_name("functions.cpython-399.pyc").write_bytes(b"\x00\x0f\r\n" + code)

    bench.spoil_image(change)
