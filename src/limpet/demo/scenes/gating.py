"""The gate: a hurried release is refused by it, and every later one passes it."""

from typing import Any

import msgspec

from limpet.demo.scenes.releasing import words_of_judging
from limpet.demo.stage import Missed
from limpet.demo.story import Scene, Teller
from limpet.demo.world import World, now

__all__ = ["GATE", "bring_advisories"]

_HURRIED = '''"""What the service technicians use."""

SERVICE_PASSWORD = "th3rm0-service"
'''


def bring_advisories(world: World) -> None:
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
    hurried = world.branch("hurried")
    (hurried / "app" / "thermostat" / "service.py").write_text(_HURRIED, "utf-8")
    commit = world.commit("Help the technicians", hurried)
    out = world.stage.directory / "hurried-1.0.0"
    built, tested, judged = words_of_judging(world, hurried, out, version="1.0.0", commit=commit)
    world.stage.limpet(*built)
    world.stage.limpet(*tested)
    report = world.stage.limpet(*judged, statuses=(1,))
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


GATE = Scene("The gate refuses a hurried release: a password lies in its code", _refuse)
