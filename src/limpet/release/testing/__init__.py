"""The product's own tests: run on one commit, written down as JUnit, and read again.

Owns the form of the result, and which commit it is of. Judges nothing: the gate does.
"""

from ._junit import CLEAN, RESULT_BYTES, Case, Outcome, Result, mark_result, read_result
from ._running import Ran, run_tests

__all__ = [
    "CLEAN",
    "RESULT_BYTES",
    "Case",
    "Outcome",
    "Ran",
    "Result",
    "mark_result",
    "read_result",
    "run_tests",
]
