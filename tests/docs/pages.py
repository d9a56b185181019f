"""The pages that people read: which there are, and what stands in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = tuple(
    sorted(
        path
        for pattern in ("*.md", "docs/**/*.md", "locks/*.md", "examples/*/*.md")
        for path in ROOT.glob(pattern)
    )
)
_FENCE = re.compile(r"(?ms)^[ ]*```.*?^[ ]*```[ ]*$")


def prose_of(text: str) -> str:
    """`text` without its code blocks, line numbers kept."""
    return _FENCE.sub(lambda found: "\n" * found.group().count("\n"), text)


def blocks_of(text: str) -> str:
    """The code blocks alone, continued lines joined."""
    return "\n".join(_FENCE.findall(text)).replace("\\\n", " ")
