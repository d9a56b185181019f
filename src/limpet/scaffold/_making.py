"""Filling in a template: names, dates, files.

Owns the placeholders (`@word@`) and the order: a finished directory appears by one rename, or
nothing does. The templates are the files below `templates/`; one shared part and one part each.
"""

import enum
import keyword
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import msgspec

from limpet.errors import Misuse, Rejected, Unavailable
from limpet.product import PRODUCT_FILE

__all__ = ["NewProduct", "Template", "create_product"]

SUPPORT_YEARS = 5
UNMATCHED_DAYS = 90  # the gate takes at most 92
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
NAME_CHARACTERS = 40
MAKER_CHARACTERS = 80
HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+", re.ASCII)

_TEMPLATES = Path(__file__).parent / "templates"
_SHARED: Mapping[str, str] = {
    "README.md": "README.md.in",
    "vulnerabilities.toml": "vulnerabilities.toml.in",
    ".gitignore": "gitignore.in",  # one by that name would be git's here, too
}
"""What every product has beside its design file, by its name there."""
_PLACEHOLDER = re.compile(r"@([a-z_]+)@")


class Template(enum.StrEnum):
    """What a new product starts as."""

    SENSOR = "sensor"
    SWITCH = "switch"


_DESCRIPTIONS: Mapping[Template, str] = {
    Template.SENSOR: "Watches a value, and tells its owner when it passes a limit.",
    Template.SWITCH: "Switches one output on its owner's word, and off whenever in doubt.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProduct:
    """What to make; `today` decides support, review and expiry dates."""

    name: str  # of the model, kebab-case; also the directory's
    template: Template
    today: date
    maker: str = "Example Maker"
    vendor_host: str = "vendor.example.com"


def create_product(order: NewProduct, parent: Path) -> Path:
    """The new directory `parent/name`.

    Raises `Rejected("bad-name")` for what cannot be a model, a package or a host, `Unavailable`
    if the directory exists or cannot be written.
    """
    words = _words(order)
    target = parent / order.name
    if target.exists() or target.is_symlink():
        raise Unavailable(f"{target} exists already", hint="choose another name")
    if not parent.is_dir():
        raise Unavailable(f"there is no directory {parent}", hint="make it first")
    try:
        work = Path(tempfile.mkdtemp(prefix=f".{order.name}-", dir=parent))
        try:
            _fill(order, words, work)
            work.chmod(0o755)
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise Unavailable(f"cannot make {target}: {(error.strerror or 'failed').lower()}") from (
            error
        )
    return target


def _words(order: NewProduct) -> Mapping[str, str]:
    if not NAME.fullmatch(order.name) or len(order.name) > NAME_CHARACTERS:
        raise Rejected(
            "bad-name",
            f"{order.name[:64]!r} is no name for a product",
            hint=f"lower-case words joined by hyphens, at most {NAME_CHARACTERS} characters:"
            " garden-pump",
        )
    module = order.name.replace("-", "_")
    if keyword.iskeyword(module) or module in {"limpet", "tests", "app"}:
        raise Rejected("bad-name", f"{module} means something else to Python", hint="add a word")
    if not HOST.fullmatch(order.vendor_host) or len(order.vendor_host) > 253:
        raise Rejected("bad-name", f"{order.vendor_host[:64]!r} is no host's full name")
    if not 0 < len(order.maker) <= MAKER_CHARACTERS or not order.maker.isprintable():
        raise Rejected("bad-name", "the maker's name is one line of at most 80 characters")
    display = order.name.replace("-", " ").title()
    today = order.today
    return {
        "name": order.name,
        "module": module,
        "template": order.template.value,
        "display": display,
        "display_quoted": _quoted(display),
        "maker": _quoted(order.maker),
        "description": _DESCRIPTIONS[order.template],
        "vendor_host": order.vendor_host,
        "domain": order.vendor_host.partition(".")[2],
        "support_until": date(today.year + SUPPORT_YEARS, 12, 31).isoformat(),
        "expires": date(today.year + 1, today.month, 1).isoformat(),
        "review_by": date(today.year + 1, today.month, 1).isoformat(),
        "unmatched_review_by": (today + timedelta(days=UNMATCHED_DAYS)).isoformat(),
    }


def _fill(order: NewProduct, words: Mapping[str, str], work: Path) -> None:
    part = _TEMPLATES / order.template.value
    design = _read(_TEMPLATES / f"{PRODUCT_FILE}.in") + _read(part / "design.toml.in")
    _write(work / PRODUCT_FILE, design, words)
    for name, template in _SHARED.items():
        _write(work / name, _read(_TEMPLATES / template), words)
    for source in sorted((part / "app").iterdir()):
        _write(work / "app" / words["module"] / source.stem, _read(source), words)
    for source in sorted((part / "tests").iterdir()):
        _write(work / "tests" / source.stem, _read(source), words)


def _read(path: Path) -> str:
    return path.read_text("utf-8")


def _write(path: Path, text: str, words: Mapping[str, str]) -> None:
    def word(match: re.Match[str]) -> str:
        if match[1] not in words:
            raise Misuse(f"{path.name} has an unknown placeholder {match[0]}")
        return words[match[1]]

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_PLACEHOLDER.sub(word, text), "utf-8")


def _quoted(text: str) -> str:
    """A TOML basic string: what JSON writes is one, but for DEL, which is not printable."""
    return msgspec.json.encode(text).decode()
