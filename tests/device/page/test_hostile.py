"""Every string that the page shows comes from somebody; here each of them is an attack.

The product's app, the vendor's words, labels and log lines all try to become markup. The last
test shows that the attack is one: without the page's care and its policy it works.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.device.gateway.conftest import Person, Stand
from tests.device.page.browser import Browser, Refused
from tests.device.page.conftest import Desk, sit_down

from limpet.device.link import messages as m
from limpet.device.link.identity import save_identity
from limpet.device.link.permits import Role
from limpet.device.supervisor.status import DeviceStatus, RoleStatus, write_status

EVIL = '"><img src=x onerror="window.pwned=1">'
SCRIPT = "</script><script>window.pwned=1</script>"
APP = f"""
import dataclasses

for _name in ("temperature", "boost", "set_schedule"):
    _evil = {EVIL!r} + _name
    app.functions[_evil] = dataclasses.replace(
        app.functions[_name], name=_evil, summary={SCRIPT!r}, unit={EVIL!r}
    )
app.functions["status"] = dataclasses.replace(
    app.functions["status"], result=dict[str, str],
    implementation=lambda _: {{{EVIL!r}: {SCRIPT!r}}},
)
"""
FOREIGN = "return document.querySelectorAll('img, iframe, object, script:not([src])').length"


def _begin_hostile(root: Path) -> Stand:
    stand = Stand(root)
    try:
        code = root / "slots" / "a" / "app" / "thermostat" / "functions.py"
        code.write_text(code.read_text() + APP)
        stand.update = m.UpdateStatus(
            policy=m.UpdatePolicy(window=m.Window(zone=EVIL)), running=SCRIPT, slot="a",
            available=EVIL, state="held", reason=EVIL + SCRIPT, support_over=True,
            support_text=SCRIPT, support_until=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        stand.mint()
        evil = msgspec.structs.replace(stand.identity, maker=EVIL, hardware_revision=SCRIPT)
        save_identity(root, evil)
        for role in (Role.ACCOUNTS, Role.APP, Role.GATEWAY):
            stand.start(role)
        stand.wait_enrolled()
    except BaseException:
        stand.close()
        raise
    return stand


def _plant_words(stand: Stand, token: str) -> None:
    """In the places that only a running, claimed device has."""
    made = {"label": EVIL, "access": "viewer"}
    assert Person(stand).ask("POST", "/v1/tokens", made, token=token)[0] == 201
    invite = Person(stand).ask("POST", "/v1/people/invitations", {"access": "viewer"}, token=token)
    join = {"code": invite[1]["code"], "name": EVIL, "password": "seven quiet lanterns burn"}
    assert Person(stand).ask("POST", "/v1/join", join)[0] == 201
    line = msgspec.json.encode({"at": EVIL, "event": SCRIPT, "detail": EVIL})
    with (stand.root / "accounts" / "events.jsonl").open("ab") as log:
        log.write(line + b"\n" + EVIL.encode() + b"\n")
    found = m.Confinement(mechanism=EVIL, in_force=False, detail=SCRIPT)
    role = RoleStatus(role=EVIL, pid=1, state="running", restarts=0, confinement=(found,))
    write_status(
        stand.root,
        DeviceStatus(
            supervisor_pid=1, slot="a", version="1.0.0", on_trial=False,
            started_at=datetime.now(UTC), roles=(role,),
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Browser]]:
    stand = _begin_hostile(tmp_path_factory.mktemp("device"))
    for desk in sit_down(stand, tmp_path_factory.mktemp("home")):
        browser = desk.browser()
        desk.claim(browser)
        _plant_words(stand, browser.run("return sessionStorage.getItem('token')"))
        yield desk, browser


@pytest.mark.parametrize(
    ("section", "sight", "shown"),
    [
        ("Use", "Set target", (EVIL, EVIL + "temperature", EVIL + "boost", SCRIPT)),
        ("Updates", "Firmware", (EVIL, EVIL + SCRIPT, SCRIPT)),
        ("Access", "Make a token", (EVIL,)),
        ("People", "Invite somebody", (EVIL,)),
        ("Device", "Security log", (EVIL, SCRIPT)),
    ],
)
def test_words_stay_words(
    attacked: tuple[Desk, Browser], section: str, sight: str, shown: tuple[str, ...]
) -> None:
    desk, browser = attacked
    desk.go(browser, section, sight)
    browser.run("document.querySelectorAll('details').forEach(one => { one.open = true })")
    main = "return document.querySelector('main').textContent"
    for words in shown:
        browser.until(lambda words=words: words in browser.run(main), words)
    time.sleep(0.3)  # an image's error comes later
    assert browser.run("return window.pwned === undefined")
    assert browser.run(FOREIGN) == 0
    assert not [line for line in browser.errors() if "Content Security Policy" in line]


def test_a_new_entry_of_a_hostile_schema_is_a_plain_form(attacked: tuple[Desk, Browser]) -> None:
    desk, browser = attacked
    desk.go(browser, "Use", "Set target")
    browser.click("main button", "Add one")
    browser.find("legend", "Days")
    assert browser.run("return window.pwned === undefined")
    assert browser.run(FOREIGN) == 0


def test_the_policy_holds_even_if_the_page_made_the_mistake(attacked: tuple[Desk, Browser]) -> None:
    _, browser = attacked
    for mistake in (
        "document.querySelector('main').innerHTML = arguments[0]",
        "document.write(arguments[0])",
        "new DOMParser().parseFromString(arguments[0], 'text/html')",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'pwned=1'}))",
        "setTimeout('window.pwned=1')",
    ):
        with pytest.raises(Refused, match=r"Trusted|CSP|Content Security"):
            browser.run(mistake, EVIL)
    elsewhere = (
        "const done = arguments[arguments.length - 1]; const seen = [];"
        "addEventListener('securitypolicyviolation', e => seen.push(e.effectiveDirective));"
        "fetch('https://localhost:1/').catch(() => 0);"
        "const i = document.createElement('img'); i.src = 'https://localhost:1/'; "
        "document.body.append(i); setTimeout(() => { i.remove(); done(seen) }, 500)"
    )
    assert sorted(browser.run_until_done(elsewhere)) == ["connect-src", "img-src"]
    assert browser.run("return window.pwned === undefined")


def test_the_attack_is_one_where_nothing_holds_it(attacked: tuple[Desk, Browser]) -> None:
    """The positive control."""
    desk, _ = attacked
    browser = desk.browser()
    browser.open("data:text/html,<title>bare</title>")
    browser.run("document.body.innerHTML = arguments[0]", EVIL)
    browser.until(lambda: browser.run("return window.pwned === 1"), "the attack")
