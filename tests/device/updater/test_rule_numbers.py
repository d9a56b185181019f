"""The rules for installing and fetching are numbered once, and each number is explained."""

import inspect
import re
from types import ModuleType

from limpet.device.updater import holding
from limpet.firmware import decision


def test_each_rule_has_one_number_and_its_module_says_what_it_is() -> None:
    enforced = numbers(decision) + numbers(holding)
    assert enforced == list(range(1, 23))


def numbers(module: ModuleType) -> list[int]:
    """The numbers at the branches of `module`, in order; each stands in its docstring's list."""
    source = inspect.getsource(module)
    heads = re.findall(r"^ +# (\d+(?:, \d+)*)(?::.*)?$", source, re.MULTILINE)
    found = [int(number) for head in heads for number in head.split(", ")]
    listed = re.findall(r"(?:^| )(\d+) [a-z]", module.__doc__ or "", re.MULTILINE)
    assert {int(number) for number in listed} >= set(found), module.__name__
    return found
