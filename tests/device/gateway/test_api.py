"""The device's API over real TLS, with the real accounts, app and gateway processes."""

import ssl
import time

import msgspec
import pytest
from tests.device.gateway.conftest import PASSWORD, SERIAL, Person, Stand

from limpet.crypto.suites import CURRENT
from limpet.device.gateway.routes import ROUTES
from limpet.device.link import messages as m
from limpet.device.link.entropy import RandomnessReport
from limpet.device.link.permits import Role

ANY = {"id": "x", "name": "status"}


def test_before_the_claim_only_identity_claim_contact_and_the_page_answer(stand: Stand) -> None:
    person = Person(stand)
    assert person.ask("GET", "/v1/identity")[0] == 200
    assert person.ask("GET", "/.well-known/security.txt")[0] == 200
    for route in ROUTES:
        if route.before_claim:
            continue
        for token in ("", "x" * 43):
            path = route.path.format(**ANY)
            status, value, _ = person.ask(route.method, path, token=token)
            assert (status, value["reason"]) == (403, "unclaimed"), path
    assert person.ask("GET", "/")[0] == 200
    for path in ("/page", "/v1", "/v1/none", "/v1/openapi.json"):
        assert person.ask("GET", path)[1]["reason"] == "unclaimed"


def test_a_wrong_code_is_refused_and_then_delayed(stand: Stand) -> None:
    person = Person(stand)
    body = {"code": "0000-0000-0000-0000", "name": "owner", "password": PASSWORD}
    assert person.ask("POST", "/v1/claim", body)[1]["reason"] == "wrong-code"
    for number in range(1, 4):
        body["code"] = f"0000-0000-0000-000{number}"
        status, value, answer = person.ask("POST", "/v1/claim", body)
    assert (status, value["reason"]) == (429, "throttled")
    assert int(answer.headers["retry-after"]) >= 1
    assert person.ask("GET", "/v1/identity")[1]["claimed"] is False


def test_identity_says_model_hardware_and_firmware_revision(owner: Person) -> None:
    status, value, _ = owner.ask("GET", "/v1/identity", token="")
    assert status == 200
    identity = owner.stand.identity
    assert value["maker"] == identity.maker
    assert value["model"] == identity.model
    assert value["hardware_revision"] == identity.hardware_revision
    assert value["firmware_revision"] == "1.0.0"
    assert value["serial"] == SERIAL
    assert value["claimed"] is True
    assert value["security_contact"]
    assert value["support"]["until"]


def test_security_txt_names_a_contact_and_an_expiry(owner: Person) -> None:
    status, value, answer = owner.ask("GET", "/.well-known/security.txt", token="")
    assert status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert b"Contact: " in value
    assert b"Expires: " in value


@pytest.mark.parametrize("route", [r for r in ROUTES if r.access > m.Access.PUBLIC], ids=str)
def test_no_route_but_the_public_ones_answers_without_a_token(owner: Person, route: object) -> None:
    path = route.path.format(**ANY)  # type: ignore[attr-defined]
    method = route.method  # type: ignore[attr-defined]
    for token in ("", "wrong" * 8):
        status, value, answer = owner.ask(method, path, token=token)
        assert (status, value["reason"]) == (401, "bad-token")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_of_lower_access_is_held_to_it(owner: Person) -> None:
    made = owner.ask("POST", "/v1/tokens", {"label": "tv", "access": "viewer"})[1]
    viewer = made["token"]
    assert owner.ask("GET", "/v1/functions", token=viewer)[0] == 200
    for route in ROUTES:
        if route.access is m.Access.OWNER:
            status, value, _ = owner.ask(route.method, route.path.format(**ANY), token=viewer)
            assert (status, value["reason"]) == (403, "access-too-low")
    member_functions = [
        one for one in owner.ask("GET", "/v1/functions")[1] if one["access"] == "member"
    ]
    assert member_functions
    for one in member_functions:
        method = "GET" if one["kind"] == "reading" else "POST"
        body = None if method == "GET" else {}
        status, value, _ = owner.ask(method, f"/v1/functions/{one['name']}", body, token=viewer)
        assert (status, value["reason"]) == (403, "access-too-low")
    assert owner.ask("DELETE", f"/v1/tokens/{made['token_id']}")[0] == 204
    assert owner.ask("GET", "/v1/functions", token=viewer)[0] == 401


def test_the_products_functions_are_used_through_the_gateway(owner: Person) -> None:
    functions = owner.ask("GET", "/v1/functions")[1]
    assert {one["name"] for one in functions} >= {"set_mode"}
    reading = next(one["name"] for one in functions if one["kind"] == "reading")
    assert owner.ask("GET", f"/v1/functions/{reading}")[0] == 200
    assert owner.ask("POST", f"/v1/functions/{reading}", {})[2].headers["allow"] == "GET"
    assert owner.ask("GET", "/v1/functions/set_mode")[2].headers["allow"] == "POST"
    assert owner.ask("GET", "/v1/functions/none")[0] == 404
    assert owner.ask("POST", "/v1/functions/set_mode", {"mode": "no such mode"})[0] == 400
    assert owner.ask("POST", "/v1/functions/set_mode", {"mode": "heat"})[0] in (200, 400)


def test_a_readings_arguments_come_from_the_query(owner: Person) -> None:
    path = "/v1/functions/history"
    status, value, _ = owner.ask("GET", f"{path}?hours=2.5")
    assert status == 200
    assert isinstance(value, list)
    sent = owner.ask("GET", "/v1/openapi.json")[1]["paths"][path]["get"]["parameters"]
    assert [(one["name"], one["in"], one["required"]) for one in sent] == [
        ("hours", "query", False)
    ]
    assert sent[0]["schema"] == {
        "type": "number", "exclusiveMinimum": 0, "maximum": 168, "default": 24.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "reason", "named"),
    [
        ("hours=1&hours=2", "malformed", "twice"),
        ("hours=1&%68ours=2", "malformed", "twice"),
        ("days=1", "bad-arguments", "known: hours"),
        ("hours=1&x=2", "bad-arguments", "'x'"),
        ("hours=" + "1" * 1025, "bad-arguments", "at most 1024"),
        ("hours=0", "bad-arguments", "hours: "),
        ("hours=169", "bad-arguments", "hours: "),
        ("hours=-1", "bad-arguments", "hours: "),
        ("hours=nan", "bad-arguments", "hours: "),
        ("hours=1e999", "bad-arguments", "hours: "),
        ("hours=", "bad-arguments", "hours: "),
        ("hours=null", "bad-arguments", "hours: "),
        ("hours=true", "bad-arguments", "hours: "),
        ("hours=[1]", "bad-arguments", "hours: "),
        ('hours=1%22,"x":"', "bad-arguments", "hours: "),
        ("hours", "malformed", "cannot be read"),
        ("hours=%FF", "malformed", "cannot be read"),
        ("&".join(f"x{number}=1" for number in range(17)), "malformed", "cannot be read"),
    ],
)
def test_a_query_that_is_not_exactly_right_is_refused(
    owner: Person, query: str, reason: str, named: str
) -> None:
    status, value, _ = owner.ask("GET", f"/v1/functions/history?{query}")
    assert (status, value["reason"]) == (400, reason)
    assert named in value["detail"]
    assert len(value["detail"]) < 300


def test_a_reading_without_arguments_and_an_action_take_none_from_the_query(owner: Person) -> None:
    status, value, _ = owner.ask("GET", "/v1/functions/temperature?celsius=99")
    assert (status, value["reason"]) == (400, "bad-arguments")
    status, value, _ = owner.ask("POST", "/v1/functions/set_mode?mode=heat", {"mode": "heat"})
    assert (status, value["reason"]) == (400, "bad-arguments")
    assert "in the body" in value["detail"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'{"name":"owner"}', {}, 400),
        (b'{"name":"owner","password":"x","admin":true}', {}, 400),
        (b'{"name":7,"password":"x"}', {}, 400),
        (b'{"name":"owner","password":"' + b"x" * 300 + b'"}', {}, 400),
        (b"[" * 5000, {}, 400),
        (b"\xff\xfe", {}, 400),
        (b'{"name":"owner","password":"x"}', {"content-type": "text/plain"}, 415),
        (b"name=owner", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {"content-encoding": "gzip"}, 415),
        (b"x" * 70000, {}, 413),
    ],
)
def test_a_body_that_is_not_exactly_right_is_refused(
    owner: Person, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert owner.ask("POST", "/v1/login", body, token="", headers=headers)[0] == status


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_is_refused_even_with_a_token(
    owner: Person, headers: dict[str, str]
) -> None:
    status, value, answer = owner.ask("GET", "/v1/functions", headers=headers)
    assert (status, value["reason"]) == (403, "wrong-origin")
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_rebound_name_is_refused_and_our_own_names_are_not(owner: Person) -> None:
    port = owner.stand.port
    for host, status in (
        ("evil.example", 403),
        (f"evil.example:{port}", 403),
        (f"{SERIAL}.local.evil.example", 403),
        ("localhost.", 403),
        ("", 403),
        (f"localhost:{port}", 200),
        (f"127.0.0.1:{port}", 200),
        ("[::1]", 200),
        (f"{SERIAL}.local", 200),
    ):
        with owner.stand.client() as client:
            client._authority = host
            assert client.get("/v1/identity", max_bytes=9999).status == status, host


def test_wrong_paths_and_methods_say_so(owner: Person) -> None:
    assert owner.ask("GET", "/v1/none")[0] == 404
    status, _, answer = owner.ask("DELETE", "/v1/identity")
    assert (status, answer.headers["allow"]) == (405, "GET")
    assert owner.ask("GET", "/v1/identity/")[0] == 404
    assert owner.ask("OPTIONS", "/v1/login")[0] == 405


def test_every_answer_carries_the_security_headers(owner: Person) -> None:
    for path in ("/v1/identity", "/v1/none", "/v1/events"):
        headers = owner.ask("GET", path)[2].headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "server" not in headers


def test_the_openapi_document_has_every_route_and_every_function(owner: Person) -> None:
    document = owner.ask("GET", "/v1/openapi.json")[1]
    assert document["openapi"] == "3.1.0"
    functions = owner.ask("GET", "/v1/functions")[1]
    wanted = {(r.path, r.method.lower()) for r in ROUTES if "{name}" not in r.path}
    wanted |= {
        (f"/v1/functions/{one['name']}", "get" if one["kind"] == "reading" else "post")
        for one in functions
    }
    found = {(path, method) for path, item in document["paths"].items() for method in item}
    assert found == wanted
    for path, item in document["paths"].items():
        for method, operation in item.items():
            public = operation["x-access"] == "public"
            assert (operation["security"] == []) is public, (path, method)


def test_updates_are_read_and_their_policy_changed_by_the_owner_only(owner: Person) -> None:
    assert owner.ask("GET", "/v1/update")[1]["running"] == "1.0.0"
    policy = {"automatic": False, "window": {"start_minute": 120, "end_minute": 240}}
    assert owner.ask("PUT", "/v1/update/policy", policy, token="")[0] == 401
    assert owner.ask("PUT", "/v1/update/policy", policy)[0] == 204
    sent = [r for r in owner.stand.requests if isinstance(r, m.SetUpdatePolicy)]
    assert len(sent) == 1
    assert sent[0].policy.automatic is False
    assert owner.ask("POST", "/v1/update/check")[0] == 204
    assert owner.ask("POST", "/v1/update/install")[0] == 204


def test_the_owner_sees_the_security_log_and_the_confinement(owner: Person) -> None:
    assert any('"claimed"' in line for line in owner.ask("GET", "/v1/events")[1]["lines"])
    device = owner.ask("GET", "/v1/device")[1]
    assert device["firmware_revision"] == "1.0.0"
    assert "Login" in device["links"]["gateway>accounts"]
    algorithms = device["algorithms"]
    assert (algorithms["suite"], algorithms["version"]) == (CURRENT.name, CURRENT.version)
    shown = {*algorithms["tls_groups"], *algorithms["tls_groups_missing"]}
    assert shown == set(CURRENT.tls.local.groups)
    assert algorithms["tls_library"] == ssl.OPENSSL_VERSION
    assert algorithms["firmware_signatures"] == [["ed25519"], ["ml-dsa-65/1"]]
    assert set(device["confinement"]) == {"accounts", "app", "gateway"}  # all that the stand runs
    for role, shown in device["confinement"].items():
        told = owner.stand.children[Role(role)].confinement
        assert [(one["mechanism"], one["in_force"], one["detail"]) for one in shown] == [
            (one.mechanism, one.in_force, one.detail) for one in told
        ]
        assert any(one["mechanism"] == "seccomp" and one["in_force"] for one in shown)


def test_the_owner_sees_a_noise_source_that_fails(owner: Person) -> None:
    path = owner.stand.root / "run" / "status.json"
    whole = path.read_bytes()
    report = RandomnessReport(source="failing", detail="stuck", kernel_source="virtio_rng.0")
    status = msgspec.json.decode(whole) | {"randomness": msgspec.to_builtins(report)}
    path.write_bytes(msgspec.json.encode(status))
    try:
        shown = owner.ask("GET", "/v1/device")[1]["randomness"]
    finally:
        path.write_bytes(whole)
    assert (shown["source"], shown["detail"]) == ("failing", "stuck")
    assert shown["kernel_source"] == "virtio_rng.0"


@pytest.mark.parametrize("status", [b"", b"{", b'{"roles": 7}', b" " * (65 << 10)])
def test_a_broken_status_file_is_503_and_never_taken_for_no_confinement(
    owner: Person, status: bytes
) -> None:
    path = owner.stand.root / "run" / "status.json"
    whole = path.read_bytes()
    path.write_bytes(status)
    try:
        code, value, _ = owner.ask("GET", "/v1/device")
        assert (code, value["reason"]) == (503, "unavailable")
    finally:
        path.write_bytes(whole)
    assert owner.ask("GET", "/v1/device")[0] == 200


def test_a_session_ends_with_logout(owner: Person) -> None:
    body = {"name": "owner", "password": PASSWORD, "known": owner.known}
    status, value, answer = owner.ask("POST", "/v1/login", body, token="")
    assert status == 201, value
    cookie = answer.headers["set-cookie"]
    for word in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/v1/login"):
        assert word in cookie
    assert owner.ask("POST", "/v1/logout", token=value["token"])[0] == 204
    assert owner.ask("GET", "/v1/update", token=value["token"])[0] == 401


def test_a_known_browser_is_recognised_by_its_cookie(owner: Person) -> None:
    headers = {"cookie": f"a=b; __Secure-limpet-known={owner.known}"}
    body = {"name": "owner", "password": PASSWORD}
    status, value, _ = owner.ask("POST", "/v1/login", body, token="", headers=headers)
    assert status == 201
    assert value["known"] == owner.known


def test_the_password_is_changed_and_everything_that_hung_on_the_old_one_ends(
    stand: Stand,
) -> None:
    person = Person(stand)
    person.claim()
    new = {"old": PASSWORD, "new": "another long phrase altogether"}
    assert (
        person.ask("PUT", "/v1/password", {**new, "new": "short"})[1]["reason"] == "weak-password"
    )
    assert person.ask("PUT", "/v1/password", new)[0] == 204
    body = {"name": "owner", "password": PASSWORD, "known": person.known}
    assert person.ask("POST", "/v1/login", body, token="")[0] == 401


def test_a_factory_reset_answers_first_and_then_has_the_data_erased(stand: Stand) -> None:
    person = Person(stand)
    person.claim()
    wrong = person.ask("POST", "/v1/reset", {"password": "not the password at all"})
    assert wrong[0] == 401
    status, made, _ = person.ask("POST", "/v1/reset", {"password": PASSWORD})
    assert status == 200
    assert person.ask("GET", "/v1/functions")[0] == 403
    end = time.monotonic() + 120
    while not any(isinstance(r, m.EraseData) for r in stand.requests):
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.2)
    person.claim(made["code"])


def test_a_reset_that_power_cut_short_is_finished_at_the_next_start(stand: Stand) -> None:
    person = Person(stand)
    person.claim()
    stand.erases = False  # it does not come to that
    assert person.ask("POST", "/v1/reset", {"password": PASSWORD})[0] == 200
    stand.kill(Role.ACCOUNTS)
    stand.requests.clear()
    stand.erases = True
    stand.start(Role.ACCOUNTS)
    end = time.monotonic() + 120
    while not any(isinstance(r, m.EraseData) for r in stand.requests):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_gateway_answers_503_while_accounts_is_gone_and_goes_on_after(stand: Stand) -> None:
    person = Person(stand)
    person.claim()
    stand.kill(Role.ACCOUNTS)
    status, value, answer = person.ask("GET", "/v1/functions")
    assert (status, value["reason"]) == (503, "unavailable")
    assert "retry-after" in answer.headers
    stand.start(Role.ACCOUNTS)
    assert person.ask("GET", "/v1/functions")[0] == 200
