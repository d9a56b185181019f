"""The routes' table, and the two checks of who is meant: pure."""

import pytest

from limpet.device.gateway.operations import Operations
from limpet.device.gateway.origin import verify_origin
from limpet.device.gateway.routes import ROUTES, Operation, match_route, methods_of
from limpet.device.link.messages import Access
from limpet.errors import Rejected

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
          "/v1/takeover")  # fmt: skip


def test_every_operation_has_one_route_and_one_handler() -> None:
    assert sorted(route.operation.value for route in ROUTES) == sorted(o.value for o in Operation)
    operations = Operations(
        call=None,
        facts=None,
        promote=lambda _: None,
        compartments=dict,  # type: ignore[arg-type]
    )
    assert set(operations.table()) == set(Operation)


def test_the_public_routes_are_these_nine_and_before_the_claim_five_of_them() -> None:
    assert {(r.method, r.path) for r in ROUTES if r.access is Access.PUBLIC} == PUBLIC
    needs_owner = {"/v1/login", "/v1/join", "/v1/transfer/accept", "/v1/takeover"}
    assert {(r.method, r.path) for r in ROUTES if r.before_claim} == {
        (method, path) for method, path in PUBLIC if path not in needs_owner
    }


def test_whatever_changes_updates_people_or_the_device_is_the_owners() -> None:
    for route in ROUTES:
        open_to_all = route.access is Access.PUBLIC
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
             "localhost/x", "localhost:99999", "th-1.local.", "[::1", ""],
)  # fmt: skip
def test_a_foreign_or_broken_host_is_refused(host: str) -> None:
    with pytest.raises(Rejected):
        verify_origin(host=host, origin=None, site=None, serial="TH-1")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8443", "TH-1.local", "10.0.0.1:1", "[::1]"]
)
def test_our_own_names_and_addresses_are_taken_with_their_own_origin(host: str) -> None:
    verify_origin(host=host, origin=f"https://{host}", site="same-origin", serial="TH-1")
    with pytest.raises(Rejected):
        verify_origin(host=host, origin=f"http://{host}", site=None, serial="TH-1")
