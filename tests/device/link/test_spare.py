"""What a process of a device does without is not loaded, though others' code would load it."""

import json
import subprocess
import sys

SECONDS = 60

_LOADED = """
import json, sys
from limpet.device.link import spare
if sys.argv[1:]:
    spare.leave_out(sys.argv[1])
import limpet.device.updater.role
found = {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
print(json.dumps(sorted(found)))
"""


def _loaded(*words: str) -> set[str]:
    command = [sys.executable, "-I", "-c", _LOADED, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    return set(json.loads(done.stdout))


def test_the_updater_has_python_tuf_without_the_http_client_of_that() -> None:
    found = _loaded("limpet.device.updater")
    assert {"tuf", "h11", "ssl"} <= found
    assert "urllib3" not in found
    assert "urllib3" in _loaded(), "the control: python-tuf loads it by itself"
