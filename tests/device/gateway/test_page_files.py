"""The page as the gateway serves it: who may open it, and that nothing else is served."""

import pytest
from tests.device.gateway.conftest import Person


def test_a_link_on_another_site_opens_the_page_and_fetches_nothing(owner: Person) -> None:
    visit = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    status, _, answer = owner.ask("GET", "/", token="", headers=visit)
    assert status == 200
    policy = answer.headers["content-security-policy"]
    for part in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'none'",
                 "require-trusted-types-for 'script'", "trusted-types 'none'"):  # fmt: skip
        assert part in policy.split("; ")
    assert "unsafe" not in policy
    for path, changed in (
        ("/", {"sec-fetch-dest": "iframe"}),
        ("/", {"sec-fetch-mode": "no-cors"}),
        ("/page/page.js", {}),
        ("/v1/identity", {}),
    ):
        assert owner.ask("GET", path, token="", headers={**visit, **changed})[0] == 403


@pytest.mark.parametrize("name", ["page.html", "script", "..", "%2e%2e", "page.js%00", "x.js"])
def test_the_page_is_its_files_and_nothing_else(owner: Person, name: str) -> None:
    assert owner.ask("GET", f"/page/{name}", token="")[0] in (400, 404)
    for known, kind in (("page.js", "text/javascript"), ("page.css", "text/css")):
        answer = owner.ask("GET", f"/page/{known}", token="")[2]
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["x-content-type-options"] == "nosniff"
