"""When a release is built and when it may be installed, as `limpet release build` is told.

Owns the reading of times: UTC, without fractions; SOURCE_DATE_EPOCH where none is given.
"""

import os
from datetime import UTC, datetime

from limpet.errors import Rejected

__all__ = ["build_times"]


def build_times(
    built_at: datetime | None, not_before: datetime | None
) -> tuple[datetime, datetime]:
    """When it is built, and from when on it may be installed."""
    at = _utc(built_at) or _source_date() or datetime.now(UTC).replace(microsecond=0)
    return at, _utc(not_before) or at


def _utc(given: datetime | None) -> datetime | None:
    return given.replace(tzinfo=UTC, microsecond=0) if given else None


def _source_date() -> datetime | None:
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Rejected("malformed", "SOURCE_DATE_EPOCH is not a number of seconds") from error
