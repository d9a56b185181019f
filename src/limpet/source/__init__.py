"""A product's source, looked at without running any of it.

Owns which code and which functions there are, what a design file's rules want to know of
them, and who committed what. Reads files, and history through git; must never import or start
what it looks at.
"""

from ._algorithms import find_algorithms
from ._context import design_context
from ._history import (
    Commit,
    committed_blobs,
    find_commit,
    find_hidden,
    find_stale_submodules,
    head_commit,
    is_shallow,
    list_changes,
    list_commits,
    name_blob,
    read_committed,
)
from ._readings import reading_finder
from ._secrets import Spot, find_pem_keys, find_secrets
from ._signatures import Unsigned, find_unsigned

__all__ = [
    "Commit",
    "Spot",
    "Unsigned",
    "committed_blobs",
    "design_context",
    "find_algorithms",
    "find_commit",
    "find_hidden",
    "find_pem_keys",
    "find_secrets",
    "find_stale_submodules",
    "find_unsigned",
    "head_commit",
    "is_shallow",
    "list_changes",
    "list_commits",
    "name_blob",
    "read_committed",
    "reading_finder",
]
