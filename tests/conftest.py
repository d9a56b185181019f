"""Settings of the whole test run.

Owns Hypothesis' profile: no deadline per example, because a loaded machine would
turn it into a test of the machine. And the order: the tests that start real processes
take longest, so they begin first and the short ones fill the other workers.
"""

import pytest
from hypothesis import settings

settings.register_profile("limpet", deadline=None, max_examples=60)
settings.load_profile("limpet")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)
