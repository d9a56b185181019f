"""The example product as its people would keep it: the tests outlive the dates in its files."""

import atexit
import shutil
import tempfile
from pathlib import Path

from limpet.demo.world import now, renew_dates

__all__ = ["kept"]


def kept(source: Path) -> Path:
    """`source`; where a review, its contact or its support is over, a copy that was looked at."""
    place = Path(tempfile.mkdtemp(prefix="limpet-example-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    copy = place / source.name
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    renew_dates(copy, today=now().date())
    same = all(
        (copy / name).read_bytes() == (source / name).read_bytes()
        for name in ("product.toml", "vulnerabilities.toml")
    )
    return source if same else copy
