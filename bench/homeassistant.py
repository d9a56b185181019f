"""Another device stack beside ours, in the same run: Home Assistant core, as it comes.

Owns its installation into an environment of its own (`.venv-homeassistant`, thrown away by
deleting it) and the measuring. Its first run is not measured: it then installs what its own
default integrations ask for. The configuration names an HTTP port and nothing else.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Figure, middle, pss_mib

__all__ = ["VERSION", "compare"]

VERSION = "2024.3.3"
"""The newest for Python 3.11; a newer Python takes what pip finds for it."""

ENVIRONMENT = Path(__file__).parents[1] / ".venv-homeassistant"
FIRST_RUN_SECONDS, START_SECONDS, SETTLE_SECONDS, STOP_SECONDS = 900.0, 120.0, 20.0, 30.0
STARTS = 3
CONFIGURATION = """\
homeassistant:
  name: bench
http:
  server_host: 127.0.0.1
  server_port: {port}
"""


def compare(show: Callable[[str], None], *, memory: Figure, start: Figure) -> Iterator[Figure]:
    """Its memory and its start beside ours; nothing, and a line that says why, without it."""
    program = _install(show)
    if program is None:
        return
    version = _said([str(program), "--version"])
    with tempfile.TemporaryDirectory(prefix="limpet-bench-ha-") as name:
        show(f"Home Assistant core {version}: first run, not measured")
        with _running(program, Path(name), FIRST_RUN_SECONDS):
            time.sleep(SETTLE_SECONDS)
        show("Home Assistant core: memory and start")
        starts = []
        for _ in range(STARTS):
            with _running(program, Path(name), START_SECONDS) as (pid, seconds):
                starts.append(seconds)
                if len(starts) == STARTS:
                    time.sleep(SETTLE_SECONDS)
                    theirs = pss_mib(_family(pid))
    who = f"Home Assistant core {version}"
    yield Figure(
        what="memory at rest",
        value=memory.value,
        unit="MiB",
        yardstick=who,
        yardstick_value=theirs,
        ratio=memory.value / theirs,
    )
    yield Figure(
        what=start.what,
        value=start.value,
        unit="s",
        yardstick=who,
        yardstick_value=middle(starts),
        ratio=start.value / middle(starts),
    )


def _install(show: Callable[[str], None]) -> Path | None:
    """The program `hass`, installed if it is not there; None, and a line, where that fails."""
    program = ENVIRONMENT / "bin" / "hass"
    if program.exists():
        return program
    wanted = f"homeassistant=={VERSION}" if sys.version_info < (3, 12) else "homeassistant"
    show(f"installing {wanted} into {ENVIRONMENT.name}: this takes minutes")
    # It leaves josepy open, and a later one breaks every request (acme wants the older interface).
    pip = [
        str(ENVIRONMENT / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        wanted,
        "josepy<2",
    ]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        subprocess.run(pip, check=True, capture_output=True, timeout=FIRST_RUN_SECONDS * 2)
    except (subprocess.SubprocessError, OSError) as error:
        show(f"Home Assistant is left out, because it cannot be installed here: {error}")
        return None
    return program


@contextmanager
def _running(program: Path, place: Path, patience: float) -> Iterator[tuple[int, float]]:
    """Its process, and the seconds to the first answer."""
    port = _free_port()
    (place / "configuration.yaml").write_text(CONFIGURATION.format(port=port))
    begun = time.monotonic()
    process = subprocess.Popen(
        [program, "--config", place],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not _answers(port):
            if time.monotonic() - begun > patience or process.poll() is not None:
                log = place / "home-assistant.log"
                said = log.read_text()[-2000:] if log.exists() else ""
                raise SystemExit(f"bench: Home Assistant did not start\n{said}")
            time.sleep(0.05)
        yield process.pid, time.monotonic() - begun
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/manifest.json")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _family(pid: int) -> list[int]:
    """The process and all that it has started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        children = (task / "children").read_text().split()
        found += [one for child in children for one in _family(int(child))]
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
