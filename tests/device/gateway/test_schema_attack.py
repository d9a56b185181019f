"""R2.3: Schemathesis reads the device's own OpenAPI document and tries what it describes.

Every operation gets sound and unsound input, with the owner's token, with none, and with a
wrong one: no answer is a 5xx, and nothing that needs a token is served without it.
"""

import collections
import json
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from tests.device.gateway.conftest import Person

from limpet.device.gateway.routes import ROUTES

EXAMPLES = 20  # for each operation
PUBLIC_READINGS = {
    ("get", "/v1/identity"),
    ("get", "/.well-known/security.txt"),
    ("get", "/"),
    ("get", "/page/{file}"),
}
ENDS_ITS_CALLER = {("post", "/v1/logout")}
WRONG_TOKEN = "A" * 43

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning"),
]
Operation = tuple[str, str]


def judge(operation: Operation, credential: str, status: int) -> None:
    """What no answer may be."""
    assert status < 500, (operation, credential, status)
    if credential != "owner" and operation not in PUBLIC_READINGS:
        # Claim and login are open to all, and grant nothing for input that is made up.
        assert 400 <= status < 500, (operation, credential, status)


def test_the_judge_notices_what_it_is_for() -> None:
    for credential, status in (("owner", 500), ("none", 503), ("none", 200), ("wrong", 204)):
        with pytest.raises(AssertionError):
            judge(("get", "/v1/update"), credential, status)
    judge(("get", "/v1/update"), "owner", 200)
    judge(("get", "/v1/identity"), "none", 200)


def test_nothing_that_the_document_describes_breaks_the_device(owner: Person) -> None:
    _, document, _ = owner.ask("GET", "/v1/openapi.json")
    served: dict[str, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    operations = [one.ok() for one in schemathesis.openapi.from_dict(document).get_all_operations()]
    for operation in operations:
        _attack(owner, operation, served)
    attacked = {(operation.method.lower(), operation.path) for operation in operations}
    assert attacked == _served_operations(owner)
    print(f"{len(attacked)} operations attacked, {EXAMPLES} requests each")
    assert set(served) == {"none", "wrong", "owner"}
    assert served["owner"][200] > 0  # the owner's sound requests do arrive
    assert served["owner"][400] > 0  # and so do the unsound ones
    assert served["none"][401] > 0


def _served_operations(owner: Person) -> set[Operation]:
    """What the gateway serves: its own table, and each function of the product."""
    _, functions, _ = owner.ask("GET", "/v1/functions")
    methods = {"reading": "get", "action": "post"}
    of_the_app = {(methods[one["kind"]], f"/v1/functions/{one['name']}") for one in functions}
    assert of_the_app
    own = {(route.method.lower(), route.path) for route in ROUTES}
    return of_the_app | {one for one in own if one[1] != "/v1/functions/{name}"}


def _attack(owner: Person, operation: Any, served: Mapping[str, collections.Counter[int]]) -> None:
    name = (operation.method.lower(), operation.path)
    credentials = {"none": "", "wrong": WRONG_TOKEN, "owner": owner.token}
    if name in ENDS_ITS_CALLER:
        del credentials["owner"]
    modes = [GenerationMode.POSITIVE]
    if operation.body or operation.query or operation.path_parameters:
        modes.append(GenerationMode.NEGATIVE)
    cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, credential=st.sampled_from(sorted(credentials)))
    def attack(case: Any, credential: str) -> None:
        path = case.formatted_path + ("?" + urlencode(case.query, doseq=True) if case.query else "")
        status = owner.ask(name[0].upper(), path, _bytes(case.body), token=credentials[credential])[
            0
        ]
        judge(name, credential, status)
        served[credential][status] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attack()


def _bytes(body: Any) -> bytes | None:
    if isinstance(body, schemathesis.core.NotSet):
        return None
    return body if isinstance(body, bytes) else json.dumps(body).encode()
