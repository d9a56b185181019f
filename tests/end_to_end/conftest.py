"""Settings of the tests that start whole devices.

Owns how tightly their images are packed: not tightly, since a device unpacks it once.
"""

from collections.abc import Iterator

import pytest
from tests.release.packages.real import fast_packing


@pytest.fixture(scope="module", autouse=True)
def _fast_packing() -> Iterator[None]:
    with fast_packing():
        yield
