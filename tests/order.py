"""Which files a run begins with: the longest, so that none of them is its tail.

A file is one worker's (`--dist loadfile`), and files are handed out in the order of this list, so
the long ones come first and the many short ones fill up what is left. A file that grows to minutes
gets a line; the figures need not be exact.
"""

from collections.abc import Mapping

__all__ = ["SECONDS", "longest_first"]

SECONDS: Mapping[str, int] = {
    "tests/end_to_end/test_whole_tree.py": 430,
    "tests/end_to_end/test_killing.py": 500,
    "tests/end_to_end/test_demo.py": 260,
    "tests/end_to_end/test_new_product_released.py": 240,
    "tests/end_to_end/test_update.py": 220,
    "tests/cuts/test_life.py": 215,
    "tests/end_to_end/test_gated_bundles.py": 150,
    "tests/end_to_end/test_demo_ended.py": 150,
    "tests/end_to_end/test_transfer.py": 150,
    "tests/end_to_end/test_runtime_updates.py": 120,
    "tests/end_to_end/test_migrations.py": 115,
    "tests/device/confine/test_trace.py": 110,
    "tests/conformance/test_conformance.py": 110,
    "tests/end_to_end/test_resting.py": 105,
    "tests/end_to_end/test_retiring.py": 100,
    "tests/end_to_end/test_block_updates.py": 100,
    "tests/end_to_end/test_wrong_clocks.py": 90,
    "tests/end_to_end/test_support_ends.py": 90,
    "tests/end_to_end/test_new_product.py": 90,
    "tests/fuzz/test_targets.py": 140,
    "tests/end_to_end/test_stolen_server.py": 80,
    "tests/device/announcer/test_network.py": 80,
    "tests/device/confine/test_from_inside.py": 55,
}
"""What a file takes on two slow cores."""
_REAL_PROCESSES = 30
_SHORT = 1


def longest_first(test: str) -> int:
    """A sort key of node ids: by the weight of the file; what starts real processes goes before
    the rest. A stable sort keeps a file whole, and its tests in order."""
    file = test.partition("::")[0]
    return -SECONDS.get(file, _REAL_PROCESSES if "end_to_end" in file.split("/") else _SHORT)
