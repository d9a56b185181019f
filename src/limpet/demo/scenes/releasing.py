"""How the vendor makes a release: committed, built, tested and judged, then signed and published.

Owns the words of the commands. What takes long, up to the gate's word, is done behind the scenes
while another is played; keys sign, and devices learn of it, only where the story says so.
"""

from pathlib import Path

from limpet.demo.story import Teller
from limpet.demo.world import World

__all__ = ["prepare", "publish", "words_of_judging"]

PREPARE_SECONDS = 180.0
RAMP_SECONDS = 4.0  # minimum duration of a rollout in the demo, signed offline
_SECONDS_A_DAY = 86400

Words = tuple[str | Path, ...]


def words_of_judging(
    world: World, product: Path, out: Path, *, version: str, commit: str, delta_from: str = ""
) -> tuple[Words, Words, Words]:
    """The commands that build `commit` of `product` into `out`, test it, and let the gate judge."""
    deltas = ("--delta-from", world.releases[delta_from]) if delta_from else ()
    tests = world.stage.directory / f"{out.name}.xml"
    built: Words = (
        "release", "build", product, "--trust", world.vendor / "trust",
        "--version", version, "--source-commit", commit, *deltas,
        "--minimum-days", f"{RAMP_SECONDS / _SECONDS_A_DAY:.8f}", "--largest-step", "60",
        "--out", out, "--level", "9", "--without-packages",  # to pack those tightly takes minutes
    )  # fmt: skip
    tested: Words = ("product", "test", product, "--out", tests)
    judged: Words = (
        "release", "check", product, "--release", out, "--vendor", world.vendor,
        "--tests", tests, "--advisories", world.advisories,
    )  # fmt: skip
    return built, tested, judged


def prepare(world: World, version: str, *, delta_from: str = "") -> None:
    """Commit what lies there, and begin to build, test and judge it as `version`.

    The product's files must stay as they are until it is published.
    """
    out = world.stage.directory / f"release-{version}"
    commit = world.commit(f"Make {version}")
    words = words_of_judging(
        world, world.product, out, version=version, commit=commit, delta_from=delta_from
    )
    world.stage.start_behind(out.name, words)


def publish(world: World, version: str, tell: Teller) -> Path:
    """Wait for the gate's word on what was prepared; sign (offline keys) and publish it.

    The release's directory; `Missed` if the gate refused it.
    """
    out = world.stage.directory / f"release-{version}"
    world.stage.finish(out.name, seconds=PREPARE_SECONDS)
    world.stage.limpet(
        "release", "sign", out, "--offline", world.vendor / "offline",
        "--repository", world.vendor / "public" / "repository",
    )  # fmt: skip
    world.stage.limpet("release", "publish", out, "--vendor", world.vendor)
    world.releases[version] = out
    tell(f"{version} was built, tested and judged meanwhile; now it is signed and published")
    return out
