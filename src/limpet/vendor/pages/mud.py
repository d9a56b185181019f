"""The MUD file among the public pages: the signed one if it says what the design says.

Owns the choice, and the way back to an unsigned file made from the design, so that the
address that devices announce is never empty and never out of step.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.product import Product, render_mud
from limpet.product.mud import mud_path, signature_path, verify_mud
from limpet.storage import read_bounded

__all__ = ["MudFiles", "load_mud"]

FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class MudFiles:
    """What is served: the document, its signature if there is one, or why there is none."""

    document: bytes
    signature: bytes | None = None
    fault: str = ""


def load_mud(product: Product, directory: Path, *, now: datetime, changed_at: datetime) -> MudFiles:
    """The files of `limpet product mud --out directory`, or an unsigned document in their place.

    `changed_at` is when the design was changed last. Raises `Rejected("no-vendor-host")`.
    """
    document, signature = (
        directory / Path(path(product)).name for path in (mud_path, signature_path)
    )
    fault = ""
    if signature.exists():
        try:
            found = read_bounded(document, max_bytes=FILE_BYTES)
            verify_mud(found, product, now=now)
            return MudFiles(found, read_bounded(signature, max_bytes=FILE_BYTES))
        except (Rejected, Unavailable) as error:
            fault = f"{document}: {error.message}"
    supported = now.date() <= product.support.until
    over = datetime.combine(product.support.until, time.max, UTC)
    changed = changed_at if supported else max(changed_at, over)
    return MudFiles(render_mud(product, last_update=changed, supported=supported), fault=fault)
