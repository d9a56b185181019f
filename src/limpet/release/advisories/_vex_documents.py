"""VEX documents on file, as statements: CycloneDX and OpenVEX 0.2.0.

Owns telling the two apart and reading them, bounded. A document that is not of its form is
`Rejected` as a whole: half of what an author says may be the opposite of all of it.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from limpet.errors import Rejected
from limpet.storage import read_bounded

from ._vex import VexStatement
from ._vex_cyclonedx import read_cyclonedx
from ._vex_openvex import read_openvex

__all__ = ["load_vex", "parse_vex"]

MAX_BYTES = 16 * 1024 * 1024
MAX_STATEMENTS = 100_000
_OPENVEX = re.compile(r"https://openvex\.dev/ns(/v0\.2\.0)?")


def load_vex(paths: Sequence[Path]) -> tuple[VexStatement, ...]:
    """The statements of every file. Raises `Rejected` (which names the file) or `Unavailable`."""
    found = []
    for path in paths:
        found += parse_vex(read_bounded(path, max_bytes=MAX_BYTES), str(path))
    return tuple(found)


def parse_vex(data: bytes, source: str) -> list[VexStatement]:
    """The statements of one document; `source` is what messages call it."""
    try:
        kind = msgspec.json.decode(data, type=_Kind)
        if kind.bomFormat == "CycloneDX":
            found = list(read_cyclonedx(data, source))
        elif kind.context and _OPENVEX.fullmatch(kind.context):
            found = list(read_openvex(data, source))
        else:
            raise Rejected("malformed", f"{source} is neither CycloneDX nor OpenVEX 0.2.0")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("malformed", f"{source}: {error}") from error
    if len(found) > MAX_STATEMENTS:
        raise Rejected("too-large", f"{source}: more than {MAX_STATEMENTS} statements")
    return found


class _Kind(msgspec.Struct, frozen=True):
    bomFormat: str = ""
    context: str = msgspec.field(name="@context", default="")
