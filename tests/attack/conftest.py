"""Attacks over a network of their own, or a line that says that they were not made."""

from collections.abc import Iterator

import pytest
from tests.attack.network import Network, NoNetwork, network
from tests.needs import lacking


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    """Two namespaces and a cable; in CI, where root can have them, a missing one is a failure."""
    try:
        with network() as made:
            yield made
    except NoNetwork as error:
        lacking(f"{error}: this attack was NOT made")
