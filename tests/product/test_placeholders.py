"""Names that nobody owns are told apart from names that somebody may own."""

import json
from pathlib import Path

import pytest

from limpet.cli.main import run
from limpet.product import list_placeholders, load_product, read_notes
from limpet.product._placeholders import is_reserved

SOUND = Path(__file__).parent / "specimens" / "sound.toml"


@pytest.mark.parametrize(
    "host",
    ["example.com", "Vendor.Example.COM.", "a.b.example", "maker.test", "localhost", "x.invalid"],
)
def test_a_reserved_name_is_known_in_any_spelling(host: str) -> None:
    assert is_reserved(host)


@pytest.mark.parametrize(
    "host", ["", "myexample.com", "example.com.maker.de", "maker.dev", "test.maker.de", "contest"]
)
def test_a_name_that_only_looks_like_one_is_not_reserved(host: str) -> None:
    assert not is_reserved(host)


def of(tmp_path: Path, **given: str) -> Path:
    text = SOUND.read_text(encoding="utf-8").replace("example.com", "maker.dev")
    for old, new in given.items():
        assert old in text
        text = text.replace(f"{old} = ", f"{old} = {new} #", 1)
    path = tmp_path / "product.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_design_of_real_names_has_no_note(tmp_path: Path) -> None:
    path = of(tmp_path)
    assert read_notes(path) == ()
    assert list_placeholders(load_product(path)) == ()


@pytest.mark.parametrize(
    "uri",
    [
        "mailto:psirt@maker.example",
        "mailto:psirt@security.maker.test",
        "https://maker.invalid:8443/report",
        "https://MAKER.INVALID./",
    ],
)
def test_a_contact_that_leads_to_nobody_is_noted_on_its_line(tmp_path: Path, uri: str) -> None:
    path = of(tmp_path, contacts=f'["tel:+49-123", "{uri}"]')
    (note,) = read_notes(path)
    assert (note.key, note.severity) == ("security_contact.contacts", "note")
    assert uri in path.read_text().split("\n")[note.line - 1]
    assert uri in note.message


def test_the_check_tells_notes_and_still_calls_the_design_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "product.toml"
    path.write_text(SOUND.read_text().replace("= 2027-", "= 2090-").replace("= 2030-", "= 2090-"))
    assert run(["product", "check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "note: vendor.hosts: " in out
    assert "hint: name your own before a customer gets a device" in out
    assert run(["product", "check", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["problems"] == []
    assert {note["severity"] for note in told["notes"]} == {"note"}
