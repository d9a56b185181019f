"""Every link of the documentation that stays in the repository leads somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from tests.docs.pages import PAGES, ROOT, prose_of

from limpet.errors import Rejected
from limpet.requirements import PointerKind, resolve_pointer

_LINK = re.compile(
    r"(?<!\\)\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)|src=\"([^\"]+)\"", re.M
)
_ELSEWHERE = re.compile(r"(?:https?|mailto|tel):")
_CODE = re.compile(r"`[^`\n]*`")


def links_of(text: str) -> Iterator[str]:
    for found in _LINK.finditer(_CODE.sub("", prose_of(text))):
        target = next(one for one in found.groups() if one)
        if not _ELSEWHERE.match(target):
            yield target


def fault_of(page: Path, target: str, *, root: Path = ROOT) -> str:
    """What is wrong with a link to `target` in `page`; empty if it leads somewhere."""
    path, _, anchor = target.partition("#")
    place = (page.parent / path).resolve() if path else page
    if not place.is_relative_to(root):
        return f"{target} leaves the repository"
    if not place.exists():
        return f"{target}: there is no such file"
    if not anchor:
        return ""
    pointer = f"{PurePosixPath(place.relative_to(root))}#{anchor}"
    try:
        resolve_pointer(root, PointerKind.DOCUMENTS, pointer)
    except Rejected as error:
        return error.message
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    faults = [fault_of(page, target) for target in links_of(page.read_text())]
    assert [fault for fault in faults if fault] == []


def test_there_are_links_at_all() -> None:
    assert sum(len(list(links_of(page.read_text()))) for page in PAGES) > 50


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("other.md", ""),
        ("other.md#a-heading", ""),
        ("#here", ""),
        ("..", "leaves the repository"),
        ("gone.md", "there is no such file"),
        ("other.md#gone", "has no heading #gone"),
        ("#gone", "has no heading #gone"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(target: str, said: str, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "other.md").write_text("# A heading\n")
    (root / "page.md").write_text(f"# Here\n\nRead [this]({target}).\n")
    [found] = links_of((root / "page.md").read_text())
    fault = fault_of(root / "page.md", found, root=root)
    assert said in fault
    assert bool(said) == bool(fault)


def test_every_page_stands_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    listed = {target.partition("#")[0] for target in links_of(index)}
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages - listed == set()
