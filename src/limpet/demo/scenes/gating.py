"""The gate: a hurried release is refused by it, and every later one passes it."""

from pathlib import Path
from typing import Any

import msgspec

from limpet.demo.stage import Missed
from limpet.demo.story import Scene, Teller
from limpet.demo.world import World, now

__all__ = ["GATE", "build", "judge"]

RAMP_SECONDS = 4.0  # minimum duration of a rollout in the demo, signed offline
_SECONDS_A_DAY = 86400
_HURRIED = '''"""What the service technicians use."""

SERVICE_PASSWORD = "th3rm0-service"
'''


def build(world: World, version: str, *, name: str = "", delta_from: str = "") -> Path:
    """Commit what lies there, and build it; the release's directory."""
    out = world.stage.directory / (name or f"release-{version}")
    deltas = ("--delta-from", world.releases[delta_from]) if delta_from else ()
    commit = world.commit(f"Make {version}")
    world.stage.limpet(
        "release", "build", world.product, "--trust", world.vendor / "trust",
        "--version", version, "--source-commit", commit, *deltas,
        "--minimum-days", f"{RAMP_SECONDS / _SECONDS_A_DAY:.8f}", "--largest-step", "60",
        "--out", out, "--without-packages",  # to compress them takes longer than this scene
    )  # fmt: skip
    return out


def judge(world: World, out: Path, *, passes: bool = True) -> Any:
    """What the gate says of the release in `out`; `Missed` if it is not what was expected."""
    tests = world.stage.directory / f"{out.name}.xml"
    world.stage.limpet("product", "test", world.product, "--out", tests)
    return world.stage.limpet(
        "release", "check", world.product, "--release", out, "--vendor", world.vendor,
        "--tests", tests, "--advisories", world.advisories,
        statuses=(0,) if passes else (1,),
    )  # fmt: skip


def _bring_advisories(world: World) -> None:
    """What is known of vulnerabilities: one record, of a package that this firmware does not
    carry, since a demo brings no mirror of 300,000. A product's gate wants them all."""
    dump = world.stage.directory / "osv"
    dump.mkdir()
    (dump / "DEMO-2026-0001.json").write_bytes(msgspec.json.encode(_advisory()))
    world.stage.limpet(
        "release", "advisories", "--import", dump, "--ecosystem", "*",
        "--advisories", world.advisories,
    )  # fmt: skip


def _advisory() -> dict[str, Any]:
    """In the form of the OSV schema 1.6."""
    moment = now().strftime("%Y-%m-%dT%H:%M:%SZ")
    affected = {
        "package": {"ecosystem": "PyPI", "name": "demo-of-a-package"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
    }
    return {
        "id": "DEMO-2026-0001",
        "modified": moment,
        "published": moment,
        "summary": "Made up for this demonstration.",
        "affected": [affected],
    }


def _refuse(world: World, tell: Teller) -> None:
    _bring_advisories(world)
    hurried = world.product / "app" / "thermostat" / "service.py"
    hurried.write_text(_HURRIED, "utf-8")
    out = build(world, "1.0.0", name="hurried-1.0.0")
    report = judge(world, out, passes=False)
    refused = [one for one in report["judgements"] if one["finding"]["verdict"] == "refused"]
    if [one["rule"] for one in refused] != ["secrets-absent"]:
        raise Missed(f"the gate refused for {[one['rule'] for one in refused]}")
    counts = ", ".join(f"{count} {name}" for name, count in report["totals"].items() if count)
    tell(f"the gate looked at the source, the image and what is known of its parts: {counts}")
    fault = refused[0]["finding"]["faults"][0]
    tell(f"refused: {fault['file']}:{fault['line']}: {fault['text']}")
    tell(f"why that matters: {refused[0]['reason']}")
    world.stage.limpet(
        "release", "sign", out, "--offline", world.vendor / "offline",
        "--repository", world.vendor / "public" / "repository",
        statuses=(1,),
    )  # fmt: skip
    tell("signing it nevertheless is refused as well; nothing was published")
    hurried.unlink()


GATE = Scene("The gate refuses a hurried release: a password lies in its code", _refuse)
