"""Which commit a product's directory is, if it is one.

Owns the answer that a build takes when nobody gives it one. Decides nothing about a release: the
gate's rule `source-committed` looks again, and at the image itself.
"""

from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Unavailable
from limpet.product import PRODUCT_FILE
from limpet.source import (
    committed_blobs,
    find_hidden,
    find_stale_submodules,
    head_commit,
    list_changes,
)

__all__ = ["Committed", "find_committed"]


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit's id; or "", and in one sentence why it cannot be told."""

    commit: str = ""
    why: str = ""


def find_committed(product: Path) -> Committed:
    """The commit that is checked out, if `product` lies in it and nothing there differs from it.

    Never raises: a directory without a history is no error of a build.
    """
    try:
        head = head_commit(product)
        changes = list_changes(product)
        if changes:
            more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
            return Committed(why=f"{changes[0][3:]}{more} is not as it was committed")
        if hidden := (*find_hidden(product), *find_stale_submodules(product)):
            return Committed(why=f"git does not show whether {hidden[0]} was changed")
        if PRODUCT_FILE not in committed_blobs(product, head):
            return Committed(why=f"{PRODUCT_FILE} is in no commit")
    except Unavailable as error:
        return Committed(why=error.message)
    return Committed(commit=head)
