"""pip-audit beside the look-up, on the same components and the same advisories.

Owns its installation into an environment of its own (`.venv-pip-audit`, thrown away by deleting
it) and a server on loopback that speaks OSV's API to it. It knows PyPI only, and leaves matching
to the server: the answers are made before the clock starts.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.measure import Figure
from limpet.release.advisories import Hit, look_up
from limpet.release.sbom import Component

__all__ = ["VERSION", "compare"]

VERSION = "2.10.1"
ENVIRONMENT = Path(__file__).parents[1] / ".venv-pip-audit"
SECONDS = 1200
_PURL = "pkg:pypi/"


def compare(place: Path, components: Sequence[Component], ours: Figure) -> list[Figure]:
    """Its CPU time for the components of PyPI, and what it says when the data are missing."""
    program = _install()
    if program is None:
        return []
    packages = {one.name: one for one in components if one.purl.startswith(_PURL)}
    found = look_up(place / "advisories.sqlite", tuple(packages.values()))
    answers: dict[str, list[Hit]] = {}
    for hit in found.hits:
        answers.setdefault(hit.component.name, []).append(hit)
    listed = place / "requirements.txt"
    listed.write_text("".join(f"{one.name}=={one.version}\n" for one in packages.values()))
    print(f"pip-audit {VERSION}: {len(packages)} packages", file=sys.stderr, flush=True)
    cpu, said, _ = _audit(program, listed, place, answers)
    named = sum(len(one["vulns"]) for one in json.loads(said)["dependencies"])
    _, _, status = _audit(program, listed, place, {})
    return [
        Figure(
            what=f"pip-audit: CPU time for {len(packages):,} of them ({named} found)",
            value=cpu,
            unit="CPU s",
            yardstick="all of them by limpet, CPU s",
            yardstick_value=ours.value,
            ratio=cpu / ours.value,
        ),
        Figure(
            what="pip-audit's status when its source has no data (limpet's outcome: inconclusive)",
            value=float(status),
            unit="",
        ),
    ]


def _install() -> Path | None:
    program = ENVIRONMENT / "bin" / "pip-audit"
    if program.is_file():
        return program
    print(f"installing pip-audit {VERSION} into {ENVIRONMENT.name}", file=sys.stderr, flush=True)
    steps = (
        [sys.executable, "-m", "venv", str(ENVIRONMENT)],
        [str(ENVIRONMENT / "bin" / "pip"), "install", "-q", f"pip-audit=={VERSION}"],
    )
    for step in steps:
        if subprocess.run(step, capture_output=True, timeout=SECONDS).returncode != 0:
            print("pip-audit cannot be installed here: left out", file=sys.stderr, flush=True)
            return None
    return program


def _audit(
    program: Path, listed: Path, place: Path, answers: Mapping[str, Sequence[Hit]]
) -> tuple[float, str, int]:
    with _serving(answers) as address:
        command = [str(program), "-r", str(listed), "--no-deps", "--disable-pip", "-f", "json"]
        command += ["-s", "osv", "--osv-url", address, "--progress-spinner", "off"]
        command += ["--cache-dir", str(place / "cache")]
        with (place / "found").open("wb") as out, (place / "told").open("wb") as told:
            process = subprocess.Popen(command, stdout=out, stderr=told)
            _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise RuntimeError(f"pip-audit ended: {(place / 'told').read_text()[-500:]}")
    said = (place / "found").read_text()
    return usage.ru_utime + usage.ru_stime, said, process.returncode


@contextmanager
def _serving(answers: Mapping[str, Sequence[Hit]]) -> Any:
    """OSV's `/v1/query` on loopback, from answers that are there already."""
    bodies = {name: _answer(hits) for name, hits in answers.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = (
            65_536  # head and body in one segment, so that nobody waits for an acknowledgment
        )
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = min(int(self.headers.get("content-length", "0")), 65_536)
            asked = json.loads(self.rfile.read(length))
            body = bodies.get(asked["package"]["name"], b"{}")
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(hits: Sequence[Hit]) -> bytes:
    records = []
    for hit in hits:
        events = [{"introduced": "0"}, *({"fixed": text} for text in hit.fixed_versions[:1])]
        package = {"ecosystem": "PyPI", "name": hit.component.name}
        affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
        records.append(
            {
                "id": hit.advisory,
                "modified": hit.modified.isoformat(),
                "aliases": list(hit.aliases),
                "summary": hit.summary,
                "affected": affected,
            }
        )
    return json.dumps({"vulns": records}).encode()
