"""The owner's way through the page, in Chromium, against the real processes."""

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.device.gateway.conftest import PASSWORD, Person
from tests.device.page.browser import Browser, run_driver
from tests.device.page.conftest import Desk

from limpet.device.gateway.page import load_page
from limpet.device.link import messages as m

SECTIONS = (
    ("Use", "Temperature"),
    ("Updates", "Firmware"),
    ("Access", "Make a token"),
    ("People", "Invite somebody"),
    ("Device", "Security log"),
)
REASON = "waits for the window 02:00-05:00 Europe/Berlin"
HELD = "held: phase-in, position 73 %, admitted 25 %"
HELD_BY_OWNER = "held: needs your consent, automatic updates are switched off"
GAP = """
const line = metered.closest("label").getBoundingClientRect();
const next = metered.closest("label").nextElementSibling.getBoundingClientRect();
return next.top - line.bottom;
"""
"""Pixels between a box to tick, whose words may take two lines, and the field below it."""
ENDING = "Security updates end on 2031-11-30, in 60 days"


def test_a_new_device_is_claimed_on_a_phone_and_shows_live_readings(desk: Desk) -> None:
    browser = desk.browser(phone=True)
    browser.see("Make this device yours")
    assert not browser.run("return document.querySelector('nav').checkVisibility()")
    desk.picture(browser, "claim-phone")
    browser.fill("Code on the label", "0000-0000-0000-0000")
    browser.fill("Your name on this device", "owner")
    browser.fill("Password", PASSWORD)
    browser.click("main button", "Claim")
    browser.see("This is not the right code")
    assert Person(desk.stand).ask("GET", "/v1/identity")[1]["claimed"] is False
    assert browser.errors()  # the browser tells of the 403, and of nothing else below
    desk.claim(browser)
    browser.find("[data-reading=temperature] .big", "°C")
    for section, sight in SECTIONS:
        desk.go(browser, section, sight)
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), section
        assert section != "Updates" or browser.run(GAP) >= 8
        desk.picture(browser, f"{section.lower()}-phone")
    assert browser.errors() == []


def test_the_owner_logs_in_and_out_and_a_wrong_password_is_refused(
    owned: tuple[Desk, Browser],
) -> None:
    desk, _ = owned
    browser = desk.browser()
    browser.fill("Name", "owner")
    browser.fill("Password", "not the password at all")
    browser.click("main button", "Log in")
    browser.until(lambda: browser.run("return notice.classList.contains('bad')"), "a refusal")
    assert browser.run("return sessionStorage.length") == 0
    desk.login(browser)
    for section, sight in SECTIONS:
        desk.go(browser, section, sight)
        desk.picture(browser, f"{section.lower()}-desk")
    token = browser.run("return sessionStorage.getItem('token')")
    person = Person(desk.stand)
    assert person.ask("GET", "/v1/functions", token=token)[0] == 200
    browser.click("#logout")
    browser.find("h2", "Log in")
    assert browser.run("return sessionStorage.length") == 0
    assert person.ask("GET", "/v1/functions", token=token)[0] == 401


def test_an_action_is_done_from_its_declared_form_and_seen_live(
    owned: tuple[Desk, Browser],
) -> None:
    desk, browser = owned
    desk.go(browser, "Use", "Set target")
    bounds = (
        "const one = [...document.querySelectorAll('label')].find("
        "l => l.textContent === 'Celsius').control; return [one.min, one.max, one.required]"
    )
    assert browser.run(bounds) == ["5", "30", True]
    browser.fill("Celsius", "31")
    browser.click("main button", "Set target")
    assert browser.run("return document.querySelector('form:invalid') !== null")
    browser.fill("Celsius", "22.5")
    browser.click("main button", "Set target")
    browser.see("Set target: done.")
    browser.find("[data-reading=status] dd", "22.5")


def test_the_window_is_set_and_why_an_update_is_held_is_shown_live(
    owned: tuple[Desk, Browser],
) -> None:
    desk, browser = owned
    desk.go(browser, "Updates", "Firmware")
    assert REASON not in browser.text()
    desk.stand.update = m.UpdateStatus(
        policy=m.UpdatePolicy(), running="1.0.0", slot="a", available="1.1.0", state="held",
        reason=REASON, support_until=datetime(2031, 11, 30, tzinfo=UTC),
        support_notice=ENDING, held=m.Held(
            reason="phase-in", text=HELD, since=datetime(2026, 11, 27, 14, tzinfo=UTC)
        ),
    )  # fmt: skip
    browser.find("#why", HELD)
    assert "Held since" in browser.text()
    assert ENDING in browser.text()
    desk.picture(browser, "held-desk")
    set_time = (
        "const one = [...document.querySelectorAll('label')].find("
        "l => l.textContent === arguments[0]).control; one.value = arguments[1]"
    )
    browser.run(set_time, "From", "22:30")
    browser.run(set_time, "To", "05:00")
    browser.fill("Time zone", "Europe/Berlin")
    browser.click("#automatic")
    browser.click("label.line", "Sunday")
    browser.click("main button", "Save")
    browser.see("Saved.")
    sent = [r for r in desk.stand.requests if isinstance(r, m.SetUpdatePolicy)]
    assert sent[-1].policy == m.UpdatePolicy(
        automatic=False,
        window=m.Window(
            days=(0, 1, 2, 3, 4, 5), start_minute=1350, end_minute=300, zone="Europe/Berlin"
        ),
    )
    browser.click("#ask")
    browser.click("main button", "Save")
    browser.see("Saved.")
    sent = [r for r in desk.stand.requests if isinstance(r, m.SetUpdatePolicy)]
    assert sent[-1].policy.ask
    browser.fill("Install nothing for", "12")
    browser.click("main button", "Postpone")
    browser.see("Postponed.")
    assert m.PostponeUpdates(days=12) in desk.stand.requests


def test_install_now_is_offered_where_it_ends_the_hold_and_nowhere_else(
    owned: tuple[Desk, Browser],
) -> None:
    desk, browser = owned
    since = datetime(2026, 11, 27, 14, tzinfo=UTC)
    desk.go(browser, "Access", "Make a token")  # the section may be open, and would be made anew
    desk.go(browser, "Updates", "Firmware")
    desk.stand.update = m.UpdateStatus(
        policy=m.UpdatePolicy(), running="1.0.0", slot="a", available="1.1.0", state="held",
        reason=REASON, held=m.Held(reason="phase-in", text=HELD, since=since),
    )  # fmt: skip
    browser.find("#why", HELD)
    browser.find("main button", "Check now")
    assert "Install now" not in browser.text(), "the vendor holds it"
    own = m.Held(reason="automatic-off", text=HELD_BY_OWNER, since=since, consent_ends=True)
    desk.stand.update = msgspec.structs.replace(desk.stand.update, held=own)
    browser.find("#why", HELD_BY_OWNER)
    browser.click("main button", "Install now")
    browser.see("is installed now")
    assert any(isinstance(r, m.InstallNow) for r in desk.stand.requests)


def test_the_network_is_said_to_be_metered_limited_and_behind_a_proxy(
    owned: tuple[Desk, Browser],
) -> None:
    desk, browser = owned
    desk.go(browser, "Access", "Make a token")  # the section may be open, and would be made anew
    desk.go(browser, "Updates", "Firmware")
    browser.click("#metered")
    browser.fill("At most", "256")
    assert "User name for the proxy" not in browser.text()
    assert browser.run(GAP) >= 8
    browser.click("summary", "By an HTTP proxy")
    browser.fill("Proxy", "proxy.home.arpa")
    browser.fill("Port", "3128")
    browser.fill("User name for the proxy", "me")
    browser.fill("Password for the proxy", "for the proxy only")
    browser.click("main button", "Apply")
    browser.see("Applied.")
    desk.picture(browser, "network-desk")
    browser.click("main button", "Save")
    browser.see("Saved.")
    first, second = [r.policy for r in desk.stand.requests if isinstance(r, m.SetUpdatePolicy)][-2:]
    proxy = m.UpdateProxy(
        host="proxy.home.arpa", port=3128, user="me", password="for the proxy only"
    )
    assert (first.metered, first.bandwidth, first.proxy) == (True, 256 << 10, proxy)
    assert (second.metered, second.bandwidth) == (True, 256 << 10)
    assert second.proxy == m.UpdateProxy(host="proxy.home.arpa", port=3128, user="me")


def test_a_token_is_made_shown_once_and_revoked(owned: tuple[Desk, Browser]) -> None:
    desk, browser = owned
    desk.go(browser, "Access", "Make a token")
    browser.fill("What it is for", "the hall's display")
    browser.click("main button", "Make")
    made = browser.find("#made-token")
    token = browser.run("return arguments[0].textContent", made)
    person = Person(desk.stand)
    assert person.ask("GET", "/v1/functions", token=token)[0] == 200
    assert person.ask("GET", "/v1/events", token=token)[1]["reason"] == "access-too-low"
    browser.click('#tokens button[aria-label="Revoke the hall\'s display"]')
    browser.see("opens nothing any more")
    assert person.ask("GET", "/v1/functions", token=token)[0] == 401
    desk.go(browser, "Use", "Temperature")
    desk.go(browser, "Access", "Make a token")
    assert token not in browser.text()


def test_a_session_that_is_revoked_elsewhere_ends_on_the_page(owned: tuple[Desk, Browser]) -> None:
    desk, browser = owned
    other = desk.browser()
    desk.login(other)
    other.find("[data-reading=temperature] .big", "°C")
    token = other.run("return sessionStorage.getItem('token')")
    assert Person(desk.stand).ask("POST", "/v1/logout", token=token)[0] == 204
    other.see("Your session has ended")
    other.find("h2", "Log in")
    desk.go(browser, "Use", "Temperature")  # the first browser's session is another


def test_the_owner_sees_support_the_security_log_and_the_confinement(
    owned: tuple[Desk, Browser],
) -> None:
    desk, browser = owned
    desk.go(browser, "Device", "Security log")
    assert "until 2031-1" in browser.run("return support.textContent")
    assert "claimed" in browser.run("return log.textContent")
    shown = browser.run("return confinement.textContent")
    assert "Gateway: all in force" in shown
    assert "Seccomp" in shown


def test_every_control_has_a_name_and_the_keyboard_reaches_the_login(
    owned: tuple[Desk, Browser],
) -> None:
    desk, browser = owned
    nameless = (
        "return [...document.querySelectorAll('input, select, textarea, button')].filter(one =>"
        " !(one.labels && one.labels.length) && !one.textContent.trim()).length"
    )
    for section, sight in SECTIONS:
        desk.go(browser, section, sight)
        assert browser.run(nameless) == 0, section
    stranger = desk.browser()
    stranger.find("h2", "Log in")
    reached = []
    for _ in range(4):
        stranger.press("\ue004")
        reached.append(stranger.run("return document.activeElement.tagName"))
    assert reached == ["INPUT", "INPUT", "INPUT", "BUTTON"]
    assert stranger.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_page_follows_the_scheme_that_a_person_chose(owned: tuple[Desk, Browser]) -> None:
    desk, browser = owned
    ground = "return getComputedStyle(document.body).backgroundColor"
    found = {}
    for scheme in ("dark", "light"):
        browser.prefer(scheme)
        desk.go(browser, "Updates", "Firmware")
        found[scheme] = browser.run(ground)
        desk.picture(browser, f"updates-{scheme}")
    assert found == {"dark": "rgb(16, 22, 21)", "light": "rgb(243, 245, 245)"}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_stands_out_from_its_ground(theme: int) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    style = bytes(load_page()["page.css"].body).decode()  # type: ignore[arg-type]
    blocks = re.findall(r":root \{([^}]*)\}", style)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[theme]))
    pairs = [(ink, ground) for ink in ("ink", "faint", "accent", "bad", "good")
             for ground in ("ground", "card")]  # fmt: skip
    for ink, ground in [*pairs, ("on-accent", "accent"), ("ink", "soft"), ("bad", "soft")]:
        light, dark = sorted((_luminance(colours[ink]), _luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_browser_that_does_not_know_the_root_does_not_show_the_page(
    owned: tuple[Desk, Browser], tmp_path: Path
) -> None:
    """The control: what the other tests trust is the device's root, not a switched-off check."""
    desk, _ = owned
    with run_driver(tmp_path / "home", root_pem=None) as port:
        browser = Browser(port, profile=tmp_path / "profile", phone=False)
        try:
            browser.open(desk.url)
            browser.see("ERR_CERT_AUTHORITY_INVALID")
            assert "Log in" not in browser.text()
        finally:
            browser.close()


def test_the_password_is_changed_and_the_old_one_is_dead(desk: Desk) -> None:
    browser = desk.browser()
    desk.claim(browser)
    desk.go(browser, "Access", "Make a token")
    browser.fill("Password now", PASSWORD)
    browser.fill("New password", "another harbour, another tide")
    browser.click("main button", "Change")
    browser.see("The password is changed.")
    body = {"name": "owner", "password": PASSWORD}
    assert Person(desk.stand).ask("POST", "/v1/login", msgspec.json.encode(body))[0] == 401
    body["password"] = "another harbour, another tide"
    assert Person(desk.stand).ask("POST", "/v1/login", msgspec.json.encode(body))[0] == 201
