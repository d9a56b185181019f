"""Settings of the whole test run.

Owns Hypothesis' profile: no deadline per example, nor for the making of examples, because a
loaded machine would turn it into a test of the machine. The order, so that no long file is the
tail of a run that several workers share (`tests.order`). And what a test needs of the machine
(`tests.needs`).
"""

import pytest
from hypothesis import HealthCheck, settings
from tests.needs import judge
from tests.order import longest_first

settings.register_profile(
    "limpet", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("limpet")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    judge(item)
