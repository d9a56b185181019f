"""Which issue of the product's tracker a reference means, and which commits fix security bugs.

Pure: what a commit says of itself is all that is known.
"""

import re
from collections.abc import Iterable

from limpet.source import Commit

__all__ = ["find_issue", "find_security_fix"]

_KNOWN = re.compile(
    r"\b(CVE-\d{4}-\d{4,19}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3})\b", re.ASCII | re.IGNORECASE
)
_NUMBER = re.compile(r"#?([1-9][0-9]{0,11})", re.ASCII)
_REST = re.compile(r"[A-Za-z0-9._~/-]{1,200}", re.ASCII)


def find_issue(stated: str, tracker: str) -> str | None:
    """The issue's name within `tracker`: "12" of "#12" and of `<tracker>/12`. None: it is none."""
    if number := _NUMBER.fullmatch(stated.strip()):
        return number.group(1)
    base = tracker.rstrip("/") + "/"
    rest = stated.strip().removeprefix(base)
    if rest == stated.strip() or not _REST.fullmatch(rest) or ".." in rest:
        return None
    return rest.strip("/") or None


def find_security_fix(commit: Commit, own: Iterable[str]) -> str:
    """Which security bug a commit says that it fixes; empty if none.

    By the trailer `Security-Fix:`, or as its message names a CVE, a GHSA, or one of `own`: the
    ids of the product's advisories.
    """
    if commit.security_fixes:
        return commit.security_fixes[0][:80]
    if known := _KNOWN.search(commit.message):
        return known.group()
    return next((name for name in own if name in commit.message), "")
