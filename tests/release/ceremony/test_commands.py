"""A ceremony as people have it: commands in processes of their own, each signer with a home, keys
and a root of trust of their own, and files that are carried between them."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests import commands
from tests.needs import needs
from tests.release.ceremony.people import Person, now, release

from limpet.release import load_public_key
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
SECRET = {
    "LIMPET_TEST_PASSPHRASE": "six words that a die has chosen",
    "LIMPET_TEST_PIN": "82736451",
}


def limpet(*words: object, directory: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """One command, by a person whose home is `directory` and who sees nothing else by name."""
    environment = {
        "HOME": str(directory),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "COLUMNS": "200",
        **SECRET,
        **more,
    }
    return commands.limpet(*words, directory=directory, env=environment)


def told(*words: object, directory: Path, **more: str) -> str:
    done = limpet(*words, directory=directory, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def carried(file: Path, to: Path) -> str:
    """A stick with the file on it, in somebody's hands."""
    shutil.copy(file, to)
    return file.name


def sign_at_home(request: Path, people: Sequence[Person]) -> list[Path]:
    """A request that changes who may sign: each takes it home, and signs it there."""
    files = []
    for one in people:
        mine = carried(request, one.directory)
        keys = ["--key", "ed25519.pem", "--key", "ml-dsa-65.pem", "--yes"]
        told("vendor", "root", "sign", mine, *keys, directory=one.directory)
        files.append(one.directory / mine)
    return files


def test_a_release_is_signed_by_two_people_with_commands_and_published(
    home: Home, place: Path, first: Person, third: Person
) -> None:
    office = place / "office"
    office.mkdir()
    vendor, out = home.root, release(place / "out", "1.0.0")
    root = home.trust / "root.json"
    repository = ["--repository", home.repository, "--root", root]
    made = told("release", "request", out, *repository, "--file", "r.request", directory=office)
    assert "release thermostat 1.0.0" in made
    files = []
    for one in (first, third):
        mine = carried(office / "r.request", one.directory)
        keys = ["--key", "ed25519.pem", "--key", "ml-dsa-65.pem"]
        unasked = limpet("release", "sign", mine, *keys, directory=one.directory)
        assert unasked.returncode == 3, "nobody was there to say yes"
        assert "security counter" in unasked.stdout
        assert "--yes" in unasked.stderr
        signed = told("release", "sign", mine, *keys, "--yes", directory=one.directory)
        assert "2 of at least 4" in signed
        files.append(one.directory / mine)
    early = limpet("release", "publish", out, "--vendor", vendor, directory=office)
    assert early.returncode == 3
    assert "is not signed" in early.stderr
    merged = told("release", "merge", out, *files, "--root", root, "--json", directory=office)
    assert json.loads(merged)["complete"] is True
    assert told("release", "publish", out, "--vendor", vendor, directory=office)
    assert [one.manifest.version for one in Repository(home, now).releases()] == ["1.0.0"]


def test_a_tampered_request_is_refused_in_plain_words_and_stays_as_it_is(
    home: Home, place: Path, first: Person
) -> None:
    out = release(place / "out", "1.0.0")
    repository = ["--repository", home.repository, "--root", home.trust / "root.json"]
    told("release", "request", out, *repository, "--file", "r.request", directory=place)
    mine = first.directory / carried(place / "r.request", first.directory)
    fields = json.loads(mine.read_bytes())
    fields["subject"] = fields["subject"][:-8] + "AAAAAAA="
    mine.write_text(json.dumps(fields))
    before = mine.read_bytes()
    keys = ["--key", "ed25519.pem", "--yes"]
    refused = limpet("release", "sign", mine.name, *keys, directory=first.directory)
    assert refused.returncode == 1
    assert refused.stderr.startswith("limpet: error: ")
    assert "Traceback" not in refused.stderr
    other_kind = limpet("vendor", "root", "sign", mine.name, *keys, directory=first.directory)
    assert other_kind.returncode == 1
    assert mine.read_bytes() == before
    again = limpet("release", "request", out, *repository, "--file", "r.request", directory=place)
    assert again.returncode == 3
    assert "it may hold signatures" in again.stderr


def test_a_stolen_key_is_replaced_with_commands(
    home: Home, place: Path, first: Person, second: Person, third: Person
) -> None:
    office, fourth = place / "office", place / "fourth"
    office.mkdir()
    fourth.mkdir()
    for name, scheme in (("ed25519.pem", "ed25519"), ("ml-dsa-65.pem", "ml-dsa-65/1")):
        words = ["--scheme", scheme, "--passphrase-env", "LIMPET_TEST_PASSPHRASE"]
        told("release", "key", "new", name, *words, directory=fourth)
        assert "ENCRYPTED" in (fourth / name).read_text()
    shown = told("release", "key", "show", "ed25519.pub.pem", "--json", directory=fourth)
    assert json.loads(shown)["id"] == load_public_key(fourth / "ed25519.pub.pem").keyid
    changes: list[object] = []
    for file in sorted(fourth.glob("*.pub.pem")):
        changes += ["--add", f"all={file}"]
    for keyid in third.ids:
        changes += ["--remove", f"all={keyid[:12]}"]
    words = ["vendor", "root", "propose", home.root, *changes, "--out", "stolen.request"]
    told(*words, directory=office)
    files = []
    for directory in (first.directory, second.directory):
        mine = carried(office / "stolen.request", directory)
        keys = ["--key", "ed25519.pem", "--key", "ml-dsa-65.pem", "--yes"]
        told("vendor", "root", "sign", mine, *keys, directory=directory)
        files.append(directory / mine)
    root = home.trust / "root.json"
    merge = ["vendor", "root", "merge", *files, "--root", root, "--out", "whole.request"]
    told(*merge, directory=office)
    published = told("vendor", "root", "publish", home.root, "whole.request", directory=office)
    assert "root 3 is published" in published
    status = json.loads(told("vendor", "root", "status", home.root, "--json", directory=office))
    named = {keyid for role in status for _, keyid in role["keys"]}
    assert not named & set(third.ids)
    assert {load_public_key(file).keyid for file in fourth.glob("*.pub.pem")} <= named
    repository = ["--repository", home.repository, "--json"]
    gone = told("release", "key", "show", third.public[0], *repository, directory=office)
    there = told("release", "key", "show", first.public[0], *repository, directory=office)
    assert json.loads(gone)["roles"] == []
    assert json.loads(there)["roles"] == ["root", "targets", "releases/thermostat"]


def test_what_ends_soon_is_said_with_the_exit_status(home: Home, place: Path) -> None:
    words = ["vendor", "root", "status", home.root, "--within"]
    soon = limpet(*words, 400, directory=place)
    assert soon.returncode == 1
    assert "targets: version 2" in soon.stdout
    assert soon.stdout.count("SOON") == 2, "root lasts two years"
    assert limpet(*words, 30, directory=place).returncode == 0


@needs(MODULE, package="softhsm2", untried="nobody signed with a token")
def test_a_person_with_a_token_and_a_locked_file_signs_with_both(
    home: Home, place: Path, first: Person
) -> None:
    """The Ed25519 key never was outside of the token; the ML-DSA key is a locked file."""
    holder = place / "holder"
    (holder / "tokens").mkdir(parents=True)
    settings = holder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {holder}/tokens\nobjectstore.backend = file\n")
    token = {"SOFTHSM2_CONF": str(settings)}
    words = ["--init-token", "--free", "--label", "holder", "--pin", SECRET["LIMPET_TEST_PIN"]]
    subprocess.run(
        ["softhsm2-util", *words, "--so-pin", "12345678"],
        env={"PATH": os.environ["PATH"], **token},
        check=True,
        capture_output=True,
        timeout=60,
    )
    key = f"pkcs11:token=holder;object=root?module-path={MODULE}"
    pin = ["--pin-env", "LIMPET_TEST_PIN"]
    made = ["release", "key", "new", key, *pin, "--public", "token.pub.pem", "--json"]
    keyid = json.loads(told(*made, directory=holder, **token))["id"]
    secret = ["--passphrase-env", "LIMPET_TEST_PASSPHRASE"]
    locked = ["release", "key", "new", "pq.pem", "--scheme", "ml-dsa-65/1", *secret]
    told(*locked, directory=holder)
    shutil.copy(home.trust / "root.json", holder)
    shutil.copy(home.trust / "suite.toml", holder)
    add = [word for name in ("token", "pq") for word in ("--add", f"root=holder/{name}.pub.pem")]
    told("vendor", "root", "propose", home.root, *add, "--out", "more.request", directory=place)
    mine = carried(place / "more.request", holder)
    sign = ["vendor", "root", "sign", mine, "--key", key, "--key", "pq.pem", *secret, "--yes"]
    without = limpet(*sign, directory=holder, **token)
    assert without.returncode == 3
    assert "--pin-env" in without.stderr
    wrong = limpet(*sign, *pin, directory=holder, **token, LIMPET_TEST_PIN="11111111")
    assert wrong.returncode == 1
    assert "refuses the PIN" in wrong.stderr
    signed = json.loads(told(*sign, *pin, "--json", directory=holder, **token))
    next_root = signed["standing"][1]
    assert (next_root["role"], next_root["signatures"]) == ("root", 2)
    assert keyid in next_root["keys"]


def test_a_person_who_is_new_is_asked_for_a_passphrase_that_is_long_enough(tmp_path: Path) -> None:
    short = {"LIMPET_TEST_PASSPHRASE": "short"}
    new = ["release", "key", "new", "key.pem", "--passphrase-env", "LIMPET_TEST_PASSPHRASE"]
    refused = limpet(*new, directory=tmp_path, **short)
    assert refused.returncode == 1
    assert "at least 15 characters" in refused.stderr
    asked = limpet("release", "key", "new", "key.pem", directory=tmp_path)
    assert asked.returncode == 3
    assert not (tmp_path / "key.pem").exists()
