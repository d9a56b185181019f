"""Python looks for a time zone in more ways than one, some of which it loads when it needs them."""

import pytest
from tests.device.gateway.conftest import Person


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Q\x10þ", "\U000a3854", "", ".", "/etc/passwd"])
def test_a_zone_that_no_system_has_is_the_askers_mistake_in_a_confined_app_too(
    owner: Person, zone: str
) -> None:
    """Found by Schemathesis: no library can be loaded any more, and an ImportError was a 500."""
    answer = owner.ask("POST", "/v1/functions/set_schedule", {"entries": [], "zone": zone})
    assert answer[0] == 400, answer
