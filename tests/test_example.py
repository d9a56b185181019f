"""The example's dates are past some day; a copy of it is looked at anew."""

import shutil
from datetime import date, timedelta
from pathlib import Path

from limpet.demo.world import renew_dates
from limpet.product import load_product

EXAMPLE = Path(__file__).parents[1] / "examples" / "thermostat"


def test_what_is_due_gets_another_date_and_what_is_not_keeps_its_own(tmp_path: Path) -> None:
    copy = shutil.copytree(EXAMPLE, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    first = load_product(copy / "product.toml")
    renew_dates(copy, today=first.security_contact.expires - timedelta(days=2000))
    assert load_product(copy / "product.toml") == first
    today = date(2040, 1, 1)
    renew_dates(copy, today=today)
    later = load_product(copy / "product.toml")
    reviews = [one.acceptance.review_by for one in later.threats if one.acceptance]
    assert min(*reviews, later.security_contact.expires, later.support.until) > today
    assert "2027" not in (copy / "vulnerabilities.toml").read_text()
