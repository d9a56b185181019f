"""The licence that a package states of itself, in SPDX's words as far as it used them.

Owns the reading of the core metadata's three fields for it. Guesses nothing: what a package says in
words of its own is kept in these words, and what it does not say stays empty.
"""

from collections.abc import Iterable
from email.message import Message
from typing import Final

__all__ = ["stated_licences"]

_MAX_NAME = 120  # characters: a longer "License" is the text itself, and not its name

# Classifiers that mean one licence of SPDX's list. Those that do not say which (BSD License, Apache
# Software License without its version) are kept as they are.
_CLASSIFIERS: Final = {
    "Academic Free License (AFL)": "AFL-3.0",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Universal Permissive License (UPL)": "UPL-1.0",
    "zlib/libpng License": "Zlib",
    "Zope Public License": "ZPL-2.1",
}
_PREFIX = "License :: "


def stated_licences(metadata: Message) -> tuple[str, ...]:
    """What the core metadata (PEP 643, PEP 639) says: an SPDX expression where there is one, else
    what its classifiers name, else a short text of `License`; empty if it says nothing."""
    expression = _line(metadata.get("License-Expression"))
    if expression:
        return (expression,)
    named = sorted(set(_classified(metadata.get_all("Classifier") or ())))
    stated = _line(metadata.get("License"))
    if named and not (len(named) == 1 and named[0] not in _CLASSIFIERS.values() and stated):
        return tuple(named)
    return (stated,) if stated else tuple(named)


def _classified(classifiers: Iterable[str]) -> Iterable[str]:
    for text in classifiers:
        name = text.removeprefix(_PREFIX).removeprefix("OSI Approved :: ").strip()
        if text.startswith(_PREFIX) and name and name != "OSI Approved":
            yield _CLASSIFIERS.get(name, name)


def _line(value: object) -> str:
    text = " ".join(str(value or "").split())
    unknown = text.upper() in ("UNKNOWN", "NONE", "")
    return "" if unknown or len(text) > _MAX_NAME or "\n" in str(value).strip() else text
