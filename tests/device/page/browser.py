"""Chromium, driven over WebDriver (W3C) with the standard library alone.

The browser trusts the device's root and nothing else that is new: the root stands in the
certificate database of a home directory made for this browser. No warning is switched off.
"""

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromedriver", "certutil")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver, 12: the web element identifier
WAIT_SECONDS = 90.0
REDRAWN = 10  # times in a row that a page may draw anew what is meant
START_TRIES = 5
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1280,900",
)  # fmt: skip
PHONE = {"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2, "touch": True}}


class Refused(Exception):
    """The driver's error; its word first."""


class Browser:
    """One browser window. Elements are found by CSS selectors, or by the text that they show."""

    def __init__(self, port: int, *, profile: Path, phone: bool, resolve: str = "") -> None:
        """`resolve` are Chromium's host resolver rules: where names lead, as a name server says."""
        self._port = port
        flags = [*FLAGS, f"--user-data-dir={profile}"]
        if resolve:
            flags.append(f"--host-resolver-rules={resolve}")
        options: dict[str, Any] = {"args": flags, "binary": shutil.which("chromium")}
        if phone:
            options["mobileEmulation"] = PHONE
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    def close(self) -> None:
        self._ask("DELETE", self._session)

    def open(self, url: str) -> None:
        self._ask("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        body = {"script": script, "args": arguments}
        return self._ask("POST", f"{self._session}/execute/sync", body)

    def run_until_done(self, script: str, *arguments: object) -> Any:
        """`script` ends by calling its last argument."""
        body = {"script": script, "args": arguments}
        return self._ask("POST", f"{self._session}/execute/async", body)

    def find(self, selector: str, text: str = "") -> dict[str, str]:
        """The element, as soon as it is there."""
        script = (
            "return [...document.querySelectorAll(arguments[0])].find("
            "one => one.checkVisibility() && one.textContent.includes(arguments[1])) || null"
        )
        found = self.until(lambda: self.run(script, selector, text), f"{selector} {text!r}")
        assert isinstance(found, dict)
        return found

    def until(self, look: Any, what: str) -> Any:
        end = time.monotonic() + WAIT_SECONDS
        while not (found := look()):
            assert time.monotonic() < end, f"not seen: {what}; the page says: {self.text()!r}"
            time.sleep(0.05)
        return found

    def click(self, selector: str, text: str = "") -> None:
        self._do(lambda: self.find(selector, text), ("click", {}))

    def fill(self, label: str, text: str, *, within: str = "body") -> None:
        """Type into the control that `label` is written on."""
        script = (
            "const label = [...document.querySelector(arguments[1]).querySelectorAll('label')]"
            ".find(one => one.textContent === arguments[0]); return label ? label.control : null"
        )
        self._do(
            lambda: self.until(lambda: self.run(script, label, within), f"label {label!r}"),
            ("clear", {}),
            ("value", {"text": text}),
        )

    def _do(self, find: Callable[[], Any], *steps: tuple[str, object]) -> None:
        """To an element; one that the page has drawn anew meanwhile is looked up again."""
        for left in reversed(range(REDRAWN)):
            path = f"{self._session}/element/{find()[ELEMENT]}"
            try:
                for step, body in steps:
                    self._ask("POST", f"{path}/{step}", body)
                return
            except Refused as error:
                if not left or "stale element" not in str(error):
                    raise

    def text(self) -> str:
        return str(self.run("return document.body.innerText"))

    def see(self, text: str) -> None:
        """`text` is shown, soon."""
        self.until(lambda: text in self.text(), text)

    def errors(self) -> list[str]:
        """What the browser complained of since the last time."""
        lines = self._ask("POST", f"{self._session}/se/log", {"type": "browser"})
        return [line["message"] for line in lines if line["level"] == "SEVERE"]

    def allow_downloads(self, directory: Path) -> None:
        """What the page downloads is kept in `directory`."""
        command = {
            "cmd": "Browser.setDownloadBehavior",
            "params": {"behavior": "allow", "downloadPath": str(directory)},
        }
        self._ask("POST", f"{self._session}/goog/cdp/execute", command)

    def picture(self, path: Path, *, full: bool = True) -> None:
        """A screenshot, of the whole page if `full`."""
        command = {"cmd": "Page.captureScreenshot", "params": {"captureBeyondViewport": full}}
        taken = self._ask("POST", f"{self._session}/goog/cdp/execute", command)
        path.write_bytes(base64.b64decode(taken["data"]))

    def prefer(self, scheme: str) -> None:
        """As a person who chose the light or the dark scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.tell("Emulation.setEmulatedMedia", {"features": features})

    def tell(self, command: str, parameters: dict[str, Any]) -> Any:
        """A command of the browser's own protocol."""
        body = {"cmd": command, "params": parameters}
        return self._ask("POST", f"{self._session}/goog/cdp/execute", body)

    def press(self, key: str) -> None:
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keyboard", "actions": keys}]
        self._ask("POST", f"{self._session}/actions", {"actions": actions})

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with contextlib.closing(connection):
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"content-type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        if isinstance(value, dict) and "error" in value:
            raise Refused(f"{value['error']}: {str(value.get('message')).splitlines()[0]}")
        return value


@contextlib.contextmanager
def run_driver(home: Path, *, root_pem: bytes | None) -> Iterator[int]:
    """chromedriver on a port of its own, its browsers trusting `root_pem` besides their own."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    (home / "root.pem").write_bytes(root_pem or b"")
    commands = [["certutil", "-d", f"sql:{database}", "-N", "--empty-password"]]
    if root_pem is not None:
        trusted = ["-A", "-t", "C,,", "-n", "device root", "-i", str(home / "root.pem")]
        commands.append(["certutil", "-d", f"sql:{database}", *trusted])
    for command in commands:
        subprocess.run(command, check=True, timeout=150, capture_output=True)
    process, port = _start_driver(home)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _start_driver(home: Path) -> tuple[subprocess.Popen[str], int]:
    """The driver takes one port twice, for IPv4 and for IPv6; the second may be somebody's."""
    said = ""
    for _ in range(START_TRIES):
        process = subprocess.Popen(
            ["chromedriver", "--port=0"],
            env={**os.environ, "HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if found := re.search(r"started successfully on port (\d+)", line):
                return process, int(found[1])
        process.wait(60)
    raise AssertionError(f"chromedriver does not start: {said}")
