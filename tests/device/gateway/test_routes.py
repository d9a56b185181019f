"""The routes' table, and the two checks of who is meant: pure."""

import pytest

from limpet.device.gateway.home import HomeOperations
from limpet.device.gateway.operations import Operations
from limpet.device.gateway.origin import verify_origin
from limpet.device.gateway.routes import ROUTES, Operation, match_route, methods_of
from limpet.device.link.messages import Access
from limpet.errors import Rejected

NAMES = {"th-1.local", "th-1.home.arpa", "heating.home.arpa"}
PUBLIC = {
    ("GET", "/v1/identity"),
    ("GET", "/.well-known/security.txt"),
    ("POST", "/v1/claim"),
    ("POST", "/v1/login"),
    ("POST", "/v1/join"),
    ("POST", "/v1/transfer/accept"),
    ("POST", "/v1/takeover"),
    ("GET", "/"),
    ("GET", "/page/{file}"),
}


OWNERS = ("/v1/update/", "/v1/reset", "/v1/events", "/v1/device", "/v1/people", "/v1/transfer",
          "/v1/takeover", "/v1/household", "/v1/announcement")  # fmt: skip


def test_every_operation_has_one_route_and_one_handler() -> None:
    assert sorted(route.operation.value for route in ROUTES) == sorted(o.value for o in Operation)
    operations = Operations(
        call=None,
        facts=None,
        promote=lambda _: None,
        compartments=dict,  # type: ignore[arg-type]
    )
    home = HomeOperations(
        serial="TH-1",
        household=None,
        announcement=None,
        identity=None,  # type: ignore[arg-type]
    )
    first, second = set(operations.table()), set(home.table())
    assert first | second == set(Operation)
    assert not first & second


def test_the_public_routes_are_these_nine_and_before_the_claim_five_of_them() -> None:
    assert {(r.method, r.path) for r in ROUTES if r.access is Access.PUBLIC} == PUBLIC
    needs_owner = {"/v1/login", "/v1/join", "/v1/transfer/accept", "/v1/takeover"}
    assert {(r.method, r.path) for r in ROUTES if r.before_claim} == {
        (method, path) for method, path in PUBLIC if path not in needs_owner
    }


def test_whatever_changes_updates_people_or_the_device_is_the_owners() -> None:
    for route in ROUTES:
        open_to_all = route.access is Access.PUBLIC or (
            route.path.startswith(("/v1/household", "/v1/announcement")) and route.method == "GET"
        )
        if route.path.startswith(OWNERS) and not open_to_all:
            assert route.access is Access.OWNER, route.path


@pytest.mark.parametrize(
    "path", ["/v1/identity/", "/V1/identity", "/v1/functions/a/b", "/v1/tokens/", "/v1", ""]
)
def test_a_path_that_is_nearly_right_is_wrong(path: str) -> None:
    assert match_route("GET", path) is None


def test_a_placeholder_takes_one_segment_and_head_counts_as_get() -> None:
    match = match_route("HEAD", "/v1/functions/temperature")
    assert match is not None
    assert match.values == {"name": "temperature"}
    assert set(methods_of("/v1/functions/x")) == {"GET", "POST"}


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "xlocalhost", "user@localhost", "a:b:c",
             "localhost/x", "localhost:99999", "th-1.local.", "[::1", "",
             "heating.home.arpa.evil.example", "other.home.arpa", "th-2.local", "local"],
)  # fmt: skip
def test_a_foreign_or_broken_host_is_refused(host: str) -> None:
    with pytest.raises(Rejected):
        verify_origin(host=host, origin=None, site=None, names=NAMES)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8443", "TH-1.local", "heating.home.arpa:8443", "10.0.0.1:1", "[::1]"],
)
def test_our_own_names_and_addresses_are_taken_with_their_own_origin(host: str) -> None:
    verify_origin(host=host, origin=f"https://{host}", site="same-origin", names=NAMES)
    with pytest.raises(Rejected):
        verify_origin(host=host, origin=f"http://{host}", site=None, names=NAMES)
