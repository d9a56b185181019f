"""Shares and rates as a person writes them, exactly.

Owns the words `5`, `5%` and `0.5 %`, and the parameters of a health test made of them.
"""

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from limpet.errors import Misuse, Rejected

if TYPE_CHECKING:
    from limpet.vendor.rollout import HealthTest

__all__ = ["PPM_PER_PERCENT", "make_test", "ppm", "share"]

PPM_PER_PERCENT = 10_000
_WHOLE_PPM = 1_000_000


def ppm(text: str, *, hint: str = "say --steps 1,10,25,50,75,100") -> int:
    """Parts per million from a share in percent. Raises `Rejected("bad-steps")`."""
    try:
        found = Decimal(text.strip().removesuffix("%").strip()) * PPM_PER_PERCENT
        if found == found.to_integral_value():
            return int(found)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    raise Rejected(
        "bad-steps",
        f"{text!r} is not a share in percent",
        hint=hint,
    )


def share(text: str) -> float:
    """A share of one from one in percent. Raises `Rejected("bad-steps" | "bad-share")`."""
    found = ppm(text)
    if not 0 <= found <= _WHOLE_PPM:
        raise Rejected("bad-share", f"{text!r} is not between 0 and 100 %")
    return found / _WHOLE_PPM


def make_test(
    tolerable: str, intolerable: str, alpha: str, beta: str, distrust: int
) -> "HealthTest":
    """The health test of these rates in percent. Raises `Rejected("bad-test")`."""
    from limpet.vendor.rollout import HealthTest

    rates = [share(text) for text in (tolerable, intolerable, alpha, beta)]
    try:
        return HealthTest(
            tolerable=rates[0],
            intolerable=rates[1],
            alpha=rates[2],
            beta=rates[3],
            distrust=distrust,
        )
    except Misuse as error:
        hint = "as --tolerable 0.5% --intolerable 2%"
        raise Rejected("bad-test", error.message, hint=hint) from error
