"""The digest of a tree: equal for equal trees, and blind to nothing that runs."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.errors import Rejected, Unavailable
from limpet.firmware import tree
from limpet.firmware.tree import digest_tree, verify_name, walk_tree


@pytest.fixture
def made(tmp_path: Path) -> Path:
    root = tmp_path / "slot"
    (root / "app" / "thing").mkdir(parents=True)
    (root / "app" / "thing" / "__init__.py").write_text("x = 1\n")
    (root / "firmware.json").write_text("{}")
    (root / "empty").mkdir()
    return root


def test_the_digest_is_fixed_by_the_documented_form(made: Path) -> None:
    # Computed by hand from the module's description: a change breaks every signed release.
    assert digest_tree(made) == "0fc75cc56341e9eaaf8467bef98187829516b6b63fc945caf67202fbe5822645"


def test_times_owners_and_other_modes_do_not_count(made: Path) -> None:
    before = digest_tree(made)
    os.utime(made / "firmware.json", (0, 0))
    (made / "firmware.json").chmod(0o400)
    assert digest_tree(made) == before


@pytest.mark.parametrize("change", ["content", "added", "removed", "executable", "renamed", "dir"])
def test_every_change_that_matters_changes_the_digest(made: Path, change: str) -> None:
    before = digest_tree(made)
    file = made / "app" / "thing" / "__init__.py"
    match change:
        case "content":
            file.write_text("x = 2\n")
        case "added":
            (made / "app" / "sitecustomize.py").write_text("")
        case "removed":
            file.unlink()
        case "executable":
            file.chmod(0o755)
        case "renamed":
            file.rename(file.with_name("main.py"))
        case _:
            (made / "empty").rmdir()
    assert digest_tree(made) != before


@pytest.mark.parametrize("kind", ["link", "link to a directory", "pipe", "name", "set-user-id"])
def test_what_firmware_cannot_hold_is_refused(made: Path, kind: str) -> None:
    match kind:
        case "link":
            (made / "shadow").symlink_to("/etc/passwd")
        case "link to a directory":
            (made / "away").symlink_to("/etc")
        case "pipe":
            os.mkfifo(made / "pipe")
        case "name":
            (made / ".hidden").write_text("")
        case _:
            (made / "firmware.json").chmod(0o4755)
    with pytest.raises(Rejected) as refused:
        digest_tree(made)
    assert refused.value.reason == "tampered-tree"


def test_too_many_entries_are_refused(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_ENTRIES", 4)
    with pytest.raises(Rejected):
        digest_tree(made)


def test_too_many_bytes_are_refused(made: Path) -> None:
    with (made / "hole").open("wb") as file:
        file.truncate(tree.MAX_TREE_BYTES + 1)
    with pytest.raises(Rejected):
        digest_tree(made)


def test_a_missing_tree_is_not_an_empty_tree(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        digest_tree(tmp_path / "nothing")


def test_the_order_does_not_depend_on_the_file_system(made: Path) -> None:
    for name in ("zz", "aa", "a+", "a-b"):
        (made / name).write_text(name)
    names = [entry.name.split("/") for entry in walk_tree(made)]
    assert names == sorted(names)


@given(st.text(min_size=1, max_size=40) | st.sampled_from(["..", "a/../b", "/etc", "a//b", "a/"]))
def test_a_name_that_is_accepted_stays_inside_its_tree(name: str) -> None:
    try:
        verify_name(name)
    except Rejected:
        return
    inside = os.path.normpath(f"/tree/{name}")
    assert inside == f"/tree/{name}"
    assert inside.startswith("/tree/")
    assert not any(part.startswith(".") for part in name.split("/"))
