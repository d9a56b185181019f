"""Settings of the whole test run.

Owns Hypothesis' profile: no deadline per example, nor for the making of examples, because a
loaded machine would turn it into a test of the machine. The order, so that no long file is the
tail of a run that several workers share (`tests.order`), and that what measures runs alone, at its
end (`tests.alone`). What a test needs of the machine (`tests.needs`). That images are packed
lightly (`tests.packing`). That a product's own tests, which a test of ours runs, load none of the
plugins that are there for ours: two seconds of a processor each time. And that Ctrl-C is not
ignored: a shell's background job ignores it, its children would, and it is what some of them are
sent.
"""

import os
import signal
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.alone import is_alone, place
from tests.needs import judge
from tests.order import longest_first
from tests.packing import pack_lightly

settings.register_profile(
    "limpet", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("limpet")


def pytest_configure(config: pytest.Config) -> None:
    pack_lightly()
    if hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None):
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (is_alone(item), longest_first(item.nodeid)))


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outside of the time that a test has
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with place(Path(__file__).parent, alone=is_alone(item)):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    judge(item)
