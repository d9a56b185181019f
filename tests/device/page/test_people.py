"""R2.2, R2.1: people, second factor, transfer and takeover on the page, in Chromium."""

import base64
import json
import re
import time
from pathlib import Path

from tests.device.gateway.conftest import PASSWORD, Person
from tests.device.page.browser import Browser
from tests.device.page.conftest import Desk

from limpet.device.accounts.second_factor import STEP_SECONDS, one_time_code
from limpet.device.link import messages as m
from limpet.device.link.permits import Role

OTHER_PASSWORD = "seven quiet lanterns burn"
CODE = re.compile(r"^[0-9A-Z]{4}(-[0-9A-Z]{4}){3}$")


def text_of(browser: Browser, selector: str) -> str:
    return str(browser.run("return arguments[0].textContent", browser.find(selector)))


def open_details(browser: Browser, selector: str) -> None:
    browser.find(f"{selector} summary")
    browser.run("document.querySelector(arguments[0]).open = true", selector)


def enter(browser: Browser, details: str, label: str, code: str, name: str, button: str) -> None:
    open_details(browser, details)
    browser.fill(label, code, within=details)
    browser.fill("Your name here", name, within=details)
    browser.fill("Your new password", OTHER_PASSWORD, within=details)
    browser.click(f"{details} button", button)


def press(desk: Desk) -> None:
    channel = desk.stand.children[Role.ACCOUNTS].channel
    assert isinstance(desk.stand.on_loop(channel.call(m.PressButton())), m.Done)


def test_a_person_is_invited_joins_on_a_phone_and_is_removed(owned: tuple[Desk, Browser]) -> None:
    desk, browser = owned
    desk.go(browser, "People", "Invite somebody")
    browser.run(
        "const one = [...document.querySelectorAll('label')].find("
        "l => l.textContent === 'They may').control; one.value = 'member'"
    )
    browser.click("main button", "Invite")
    code = text_of(browser, "#invitation-code")
    assert CODE.match(code)
    browser.find("#invitations li", "Invited as member")
    desk.picture(browser, "people-invited-desk")
    phone = desk.browser(phone=True)
    phone.find("h2", "Log in")
    desk.picture(phone, "login-phone")
    enter(phone, "#join", "Code of the invitation", code, "ada", "Join")
    phone.see("You have an account here now")
    tabs = phone.run("return [...document.querySelectorAll('nav button')].map(b => b.textContent)")
    assert tabs == ["Use", "Updates", "Access", "Device"]
    desk.go(phone, "Access", "Second factor")
    assert phone.run("return document.documentElement.scrollWidth <= innerWidth")
    desk.picture(phone, "member-access-phone")
    desk.go(browser, "Use", "Temperature")
    desk.go(browser, "People", "Invite somebody")
    assert code not in browser.text()
    browser.find("#people li", "ada")
    browser.click('button[aria-label="Remove ada"]')
    browser.see("“ada” has no access any more")
    phone.see("Your session has ended")
    assert browser.errors() == []


def test_the_second_factor_is_set_up_asked_for_in_a_new_browser_and_ended(desk: Desk) -> None:
    browser = desk.browser()
    desk.claim(browser)
    desk.go(browser, "Access", "Second factor")
    browser.fill("Your password", PASSWORD, within="#factor")
    browser.click("#factor button", "Set up")
    secret = base64.b32decode(text_of(browser, "#factor-secret").replace(" ", ""))
    link = browser.run("return document.getElementById('factor-link').href")
    assert link.startswith("otpauth://totp/")
    desk.picture(browser, "factor-secret-desk")
    step = int(time.time() // STEP_SECONDS)
    browser.fill("The code that the app shows now", one_time_code(secret, step), within="#factor")
    browser.click("#factor button", "Switch on")
    recovery = browser.run(
        "return [...document.querySelectorAll('#recovery li')].map(one => one.textContent)"
    ) if browser.find("#recovery") else []  # fmt: skip
    assert len(recovery) == 8
    desk.picture(browser, "factor-recovery-desk")
    browser.click("#factor button", "I have kept them")
    browser.find("#factor", "8 recovery codes are left")
    stranger = desk.browser(phone=True)
    stranger.fill("Name", "owner")
    stranger.fill("Password", PASSWORD)
    stranger.click("main button", "Log in")
    stranger.see("Give a one-time code, or a recovery code")
    desk.picture(stranger, "factor-login-phone")
    stranger.fill("One-time code", recovery[0])
    stranger.click("main button", "Log in")
    stranger.find("nav button", "Updates")
    desk.go(browser, "Use", "Temperature")
    desk.go(browser, "Access", "Second factor")
    browser.run("document.querySelector('#factor details').open = true")
    browser.fill("Your password", PASSWORD, within="#factor")
    browser.fill("One-time code", recovery[1], within="#factor")
    browser.click("#factor button", "Switch off")
    browser.see("No one-time codes are asked for any more")


def test_a_takeover_is_seen_at_once_on_every_section_and_ended_by_a_click(
    owned: tuple[Desk, Browser],
) -> None:
    desk, browser = owned
    pocket = desk.browser(phone=True)
    desk.login(pocket)
    stranger = desk.browser(phone=True)
    open_details(stranger, "#takeover")
    stranger.fill("Code on the label", desk.stand.code, within="#takeover")
    stranger.click("#takeover button", "Ask for the device")
    stranger.see("Press the button of the device")
    press(desk)
    stranger.click("#takeover button", "Ask for the device")
    stranger.see("when it has run for 72 h")
    desk.picture(stranger, "takeover-asked-phone")
    desk.go(browser, "Updates", "Firmware")
    browser.find("#alarm", "asks to take it over")
    desk.picture(browser, "takeover-alarm-desk")
    pocket.find("#alarm", "asks to take it over")
    assert pocket.run("return document.documentElement.scrollWidth <= innerWidth")
    desk.picture(pocket, "takeover-alarm-phone")
    browser.click("#alarm button", "Object")
    browser.see("The device stays yours")
    assert browser.run("return document.getElementById('alarm').textContent") == ""
    assert Person(desk.stand).ask("GET", "/v1/identity")[1]["claimed"] is True


def test_a_device_is_handed_on_by_a_code_and_kept_by_a_click(desk: Desk) -> None:
    browser = desk.browser()
    desk.claim(browser)
    for keep in (True, False):
        desk.go(browser, "Use", "Temperature")
        desk.go(browser, "People", "Invite somebody")
        open_details(browser, "#transfer details")
        browser.fill("Your password", PASSWORD, within="#transfer")
        browser.click("#transfer label.line", "Leave the data")
        browser.click("#transfer button", "Make the code")
        code = text_of(browser, "#transfer-code")
        desk.picture(browser, "transfer-desk")
        if keep:
            browser.click("#transfer button", "Close")
            browser.click("#transfer button", "Keep the device")
            browser.see("The transfer is cancelled")
    heir = desk.browser(phone=True)
    enter(heir, "#accept", "Code of the transfer", code, "hedy", "Take it")
    heir.see("This device is yours")
    desk.go(heir, "People", "Invite somebody")
    assert heir.run("return document.documentElement.scrollWidth <= innerWidth")
    tabs = "const tabs = document.querySelector('nav'); return tabs.scrollWidth <= tabs.clientWidth"
    assert heir.run(tabs)
    desk.picture(heir, "people-phone")
    browser.see("Your session has ended")


def test_the_log_is_exported_whole_and_its_chain_is_checked(
    owned: tuple[Desk, Browser], tmp_path: Path
) -> None:
    desk, browser = owned
    browser.allow_downloads(tmp_path)
    desk.go(browser, "Device", "Security log")
    browser.click("main button", "Export")
    browser.see("none of them changed, missing or added")
    file = tmp_path / "security-log.jsonl"
    browser.until(file.exists, "the download")
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert [one["number"] for one in entries] == list(range(1, len(entries) + 1))
    assert entries[0]["event"] == "claimed"


def test_a_reset_shows_the_fresh_code_that_claims_the_device(desk: Desk) -> None:
    browser = desk.browser()
    desk.claim(browser)
    desk.go(browser, "Device", "Security log")
    browser.run("document.querySelectorAll('main details').forEach(one => { one.open = true })")
    browser.fill("Your password", PASSWORD)
    browser.click("main button", "Destroy everything")
    code = text_of(browser, "#fresh-code")
    desk.picture(browser, "reset-desk")
    body = {"name": "hedy", "password": OTHER_PASSWORD}
    person = Person(desk.stand)
    deadline = time.monotonic() + 120
    status = 0
    while status != 201 and time.monotonic() < deadline:
        status, value, _ = person.ask("POST", "/v1/claim", {**body, "code": code})
        time.sleep(0.1)
    assert status == 201, value
