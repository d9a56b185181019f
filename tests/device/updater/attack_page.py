"""The tables of docs/update-attacks.md, made from the tables that the tests run.

`python -m tests.device.updater.attack_page` writes them into the page; a test compares.
"""

from collections.abc import Iterable
from pathlib import Path

from tests.device.updater.attack_tables import ELSEWHERE, TABLES
from tests.device.updater.attacks import EVENTS, REPORTS, Attack
from tests.device.updater.bad_input import KINDS, WAYS
from tests.device.updater.compromise import HARMS, PAIRS, SINGLES, achieves
from tests.device.updater.simulator import MODEL

from limpet.device.updater.check import Outcome

__all__ = ["PAGE", "begin", "end", "render"]

PAGE = Path(__file__).parents[3] / "docs" / "update-attacks.md"
begin, end = "<!-- tables: begin -->", "<!-- tables: end -->"

_SHOWN = {
    Outcome.REFUSED: "refused, with the reason",
    Outcome.HELD: "held, with the reason",
    Outcome.UNAVAILABLE: "not possible now, with the reason",
    Outcome.NOTHING: "nothing to install",
    Outcome.READY: "installed",
}
_TESTS = "tests/device/updater/test_attacks.py"


def render() -> str:
    """The part of the page between its two marks."""
    return "\n".join(
        (
            _answers(),
            *(_attacks(section, attacks) for section, attacks in TABLES.items()),
            _keys(),
            *(_elsewhere(section) for section in ELSEWHERE),
            _bad_input(),
        )
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _answers() -> str:
    rows = [
        (
            _SHOWN[outcome],
            f"`{EVENTS[outcome]}`",
            f"`{kind.value}`" if (kind := REPORTS[outcome]) is not None else "none: it is silent",
            "`reason: detail`" if outcome not in (Outcome.NOTHING, Outcome.READY) else "-",
        )
        for outcome in Outcome
    ]
    return "## The answers\n\n" + _table(
        ("A check ends", "device's log", "report to the vendor", "status for the owner"), rows
    )


def _answer(attack: Attack) -> str:
    word = {
        Outcome.REFUSED: "refuses",
        Outcome.HELD: "holds",
        Outcome.UNAVAILABLE: "waits",
        Outcome.NOTHING: "sees nothing to install",
        Outcome.READY: "**installs**",
    }[attack.outcome]
    if attack.left is not None:
        word = "fetches the image" if attack.left else "installs by the delta"
    reason = f": `{attack.reason}`" if attack.reason else ""
    return f"{word}{reason}" + (f"; {attack.does}" if attack.does else "")


def _attacks(section: str, attacks: tuple[Attack, ...]) -> str:
    rows = [(f"{a.title} (`{a.name}`)", a.has, _answer(a), a.residual) for a in attacks]
    return f"## {section}\n\n" + _table(
        ("Attack", "The attacker has", "The device", "What remains"), rows
    )


def _keys() -> str:
    named = {frozenset({role}): role for one in SINGLES for role in one}
    rows = [
        (
            " and ".join(f"`{_role(role)}`" for role in sorted(stolen)),
            *("**yes**" if achieves(stolen, harm) else "no" for harm in HARMS),
        )
        for stolen in (*named, *PAIRS)
    ]
    smallest = [
        f"* {harm.title}: "
        + "; ".join(" + ".join(f"`{_role(r)}`" for r in sorted(need)) for need in harm.needs)
        for harm in HARMS
    ]
    return (
        "## What each key is worth\n\n"
        + _table(("Stolen", *(harm.title for harm in HARMS)), rows)
        + "\nThe smallest sets of roles that are enough:\n\n"
        + "\n".join(smallest)
        + "\n"
    )


def _role(role: str) -> str:
    name, _, family = role.replace(MODEL, "<model>").partition(" ")
    return f"{name} ({family} alone)" if family else name


def _elsewhere(section: str) -> str:
    rows = [(e.title, e.does, e.residual, f"`{e.test}`") for e in ELSEWHERE[section]]
    return f"## {section}\n\n" + _table(("Attack", "The device", "What remains", "Test"), rows)


def _bad_input() -> str:
    rows = [
        (kind.name, *(f"`{reason}`" if reason else "installs" for reason in kind.answers))
        for kind in KINDS
    ]
    head = ("", *(f"{way}: {how}" for way, how in WAYS.items()))
    return (
        "## Bad input, file by file\n\n"
        "Each cell is the reason of the refusal or of the wait, as"
        " `tests/device/updater/test_bad_input.py` finds it. A delta\n"
        "is given up for the image; what comes behind a signed size is not read.\n\n"
        + _table(head, rows)
    )


def main() -> None:
    """Write the tables into the page."""
    text = PAGE.read_text()
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    PAGE.write_text(f"{head}{begin}\n\n{render()}\n{end}{tail}")


if __name__ == "__main__":
    main()
