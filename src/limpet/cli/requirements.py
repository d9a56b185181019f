"""`limpet requirements`: the statements, and where in limpet each is answered.

Owns the printing of `limpet.requirements`. Never says whether a statement holds:
that is `limpet audit`.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import typer

from limpet.cli._frame import emit, make_app, print_table, show_examples
from limpet.errors import Rejected, Unavailable
from limpet.requirements import (
    Dangling,
    Entry,
    PointerKind,
    Statement,
    find_source_tree,
    find_statement,
    load_register,
    load_statements,
    resolve_pointer,
    verify_register,
)

__all__ = ["app"]

NOT_YET = "not yet"
TEXT_COLUMNS = 96

app = make_app(
    "The 65 statements, and what in limpet answers each.",
    examples=["limpet requirements --json", "limpet requirements show R2.2.3a"],
    bare=True,
)
_json_option = typer.Option(False, "--json", help="Print JSON.")


class _Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """One pointer; `at` is "path:line" if the source tree is here and the pointer resolves."""

    pointer: str
    at: str | None
    dangling: str | None


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """A statement with its pointers, as `--json` gives it; an empty list is "not yet"."""

    id: str
    section: str
    title: str
    level: str
    bearer: tuple[str, ...]
    asks: str
    proven: tuple[str, ...]
    code: tuple[_Pointer, ...]
    tests: tuple[_Pointer, ...]
    audit: tuple[_Pointer, ...]
    documents: tuple[_Pointer, ...]

    def pointers(self, kind: PointerKind) -> tuple[_Pointer, ...]:
        """The pointers of one kind."""
        found: tuple[_Pointer, ...] = getattr(self, kind.value)
        return found


@app.callback(invoke_without_command=True)
def list_all(ctx: typer.Context, json: bool = _json_option) -> None:
    """The 65 statements, and what in limpet answers each: code, tests, audit check, document."""
    if ctx.invoked_subcommand is not None:
        return
    root, register = find_source_tree(), load_register()
    records = [_record(statement, register, root) for statement in load_statements()]
    emit(records, json=json, human=_print_table)


@app.command(epilog=show_examples("limpet requirements show R2.2.3a"))
def show(
    statement_id: str = typer.Argument(metavar="ID", help="A statement's id, as R2.2.3a."),
    json: bool = _json_option,
) -> None:
    """One statement, and where each of its pointers leads."""
    statement = find_statement(statement_id, load_statements())
    emit(_record(statement, load_register(), find_source_tree()), json=json, human=_print_one)


@app.command(epilog=show_examples("limpet requirements verify"))
def verify(
    root: Path | None = typer.Option(None, "--root", help="The source tree; this limpet's own."),
    json: bool = _json_option,
) -> None:
    """Resolve every pointer of the register in the source tree; status 1 if one dangles."""
    tree = root or find_source_tree()
    if tree is None or not (tree / "src").is_dir():
        raise Unavailable(
            f"no source tree of limpet at {root}" if root else "limpet runs without a source tree",
            hint="name one: limpet requirements verify --root DIRECTORY",
        )
    faults = verify_register(tree)
    emit(faults, json=json, human=_print_faults)
    if faults:
        raise typer.Exit(1)


def _record(statement: Statement, register: Mapping[str, Entry], root: Path | None) -> _Record:
    entry = register.get(statement.id, Entry())
    return _Record(
        id=statement.id,
        section=statement.section,
        title=statement.title,
        level=statement.level,
        bearer=statement.bearer,
        asks=statement.asks,
        proven=statement.proven,
        **{kind.value: _follow(entry.pointers(kind), kind, root) for kind in PointerKind},
    )


def _follow(pointers: Sequence[str], kind: PointerKind, root: Path | None) -> tuple[_Pointer, ...]:
    followed = []
    for pointer in pointers:
        at = dangling = None
        if root is not None:
            try:
                at = str(resolve_pointer(root, kind, pointer))
            except Rejected as error:
                dangling = error.message
        followed.append(_Pointer(pointer=pointer, at=at, dangling=dangling))
    return tuple(followed)


def _mark(pointers: Sequence[_Pointer]) -> str:
    if not pointers:
        return NOT_YET
    bad = sum(1 for pointer in pointers if pointer.dangling)
    return f"{len(pointers)}, {bad} dangling" if bad else str(len(pointers))


def _print_table(records: Sequence[_Record]) -> None:
    kinds = tuple(PointerKind)
    rows = [
        [record.id, record.level, *(_mark(record.pointers(kind)) for kind in kinds), record.title]
        for record in records
    ]
    print_table(["id", "level", *(kind.value for kind in kinds), "asks"], rows)
    answered = sum(1 for record in records if record.code)
    print(f"\n{len(records)} statements, {answered} with code; one in full: requirements show ID")


def _print_one(record: _Record) -> None:
    print(f"{record.id}  {record.level}  {record.title}")
    print(textwrap.fill(record.asks, TEXT_COLUMNS, initial_indent="  ", subsequent_indent="  "))
    print(f"  section {record.section}; borne by: {', '.join(record.bearer)};", end=" ")
    print(f"shown by: {', '.join(record.proven)}")
    for kind in PointerKind:
        print(f"\n{kind.value}")
        for pointer in record.pointers(kind):
            print(f"  {pointer.at or pointer.pointer}")
            if pointer.at:
                print(f"      {pointer.pointer}")
            if pointer.dangling:
                print(f"      dangling: {pointer.dangling}")
        if not record.pointers(kind):
            print(f"  {NOT_YET}")


def _print_faults(faults: Sequence[Dangling]) -> None:
    for fault in faults:
        print(fault)
    print(f"register: {len(faults)} faults" if faults else "register: every pointer resolves")
