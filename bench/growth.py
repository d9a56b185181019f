"""What grows in a repository over years, releases and models, and what a device pays for it.

The repository is the tests' simulator: real metadata, signed by real keys of both families, in
memory. The device's side is the updater's own repository class. Bytes are files without HTTP and
TLS; times are CPU of the reading side.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tests.device.updater.simulator import MODEL, NOW, RELEASES, ROLLOUT, RepositorySimulator
from tuf.api.metadata import DelegatedRole, TargetFile, Targets

from limpet.device.updater.floor import Floor
from limpet.device.updater.repository import Repository
from limpet.wire.release import manifest_path
from limpet.wire.rollout import PlannedRelease, PlanState

__all__ = ["CASES", "Case", "Grown", "measure_growth", "shown"]

FLOOR = Floor(time=NOW - timedelta(days=30))
ROLES = ("root", "targets", "snapshot", "timestamp", RELEASES)


@dataclass(frozen=True, slots=True)
class Case:
    """How much there is. A year is one renewal of root and targets by the same keys."""

    models: int
    releases: int
    years: int


CASES = (Case(1, 1, 0), Case(1, 1000, 0), Case(1, 1, 10), Case(100, 1, 0), Case(100, 1000, 10))


@dataclass(frozen=True, slots=True)
class Grown:
    """The figures of a case: bytes of roles, and (bytes, milliseconds) of looks."""

    case: Case
    sizes: dict[str, int]
    first: tuple[int, float]
    quiet: tuple[int, float]
    another_plan: tuple[int, float]
    another_release: tuple[int, float]

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        looks = {
            name: {"bytes": size, "cpu_ms": round(spent, 2)}
            for name, (size, spent) in (
                ("first", self.first),
                ("quiet", self.quiet),
                ("another_plan", self.another_plan),
                ("another_release", self.another_release),
            )
        }
        case = {"models": self.case.models, "releases": self.case.releases}
        return {**case, "years": self.case.years, "sizes": self.sizes, "looks": looks}


class _Counting(RepositorySimulator):
    """The simulator with `models` and `releases`, which counts what is read."""

    def __init__(self, case: Case) -> None:
        self.read, self._case = 0, case
        self.changed: frozenset[str] | None = None  # what `publish` signs anew; None: everything
        super().__init__()
        for number in range(1, case.models):
            self._add_model(f"model-{number:03d}")
        for number in range(case.releases):
            self.add_entry(number)
        self.publish()
        for _ in range(case.years):
            self.root.version += 1
            self.publish_root()
            self.publish()

    def get(self, path: str, *, max_bytes: int) -> bytes:
        data = super().get(path, max_bytes=max_bytes)
        self.read += len(data)
        return data

    def publish(self) -> None:
        """As the simulator's, but a role that has not changed keeps its version."""
        before = (self.targets, dict(self.roles))
        if self.changed is not None:
            self.roles = {name: role for name, role in self.roles.items() if name in self.changed}
        super().publish()
        self.targets, self.roles = before

    def _put(self, name: str, signed: Any) -> None:
        if name != "targets" or self.changed is None:
            super()._put(name, signed)

    def add_entry(self, number: int) -> PlannedRelease:
        """A release of the device's model, as its role lists it; the manifest is small here."""
        version = f"{number // 100}.{number // 10 % 10}.{number % 10}"
        path = manifest_path(MODEL, version)
        content = f'{{"version":"{version}"}}'.encode()
        digest = self.add_target(RELEASES, path, content)
        return PlannedRelease(version=version, manifest_sha256=digest)

    def _add_model(self, model: str) -> None:
        delegations = self.targets.delegations
        assert delegations is not None
        assert delegations.roles is not None
        for name, pattern in (
            (f"releases/{model}", f"firmware/{model}/*"),
            (f"rollout/{model}", f"rollout/{model}/*"),
        ):
            self.keys[name] = CryptoSigner.generate_ed25519()
            if name.startswith("releases"):
                self.seconds[name] = CryptoSigner.generate_mldsa()
            own = {signer.public_key.keyid: signer.public_key for signer in self.signers(name)}
            delegations.keys |= own
            delegations.roles[name] = DelegatedRole(name, list(own), len(own), True, [pattern])
            self.roles[name] = Targets(expires=NOW + timedelta(days=300))
            plan = TargetFile.from_data(pattern.replace("*", "plan.json"), b"{}", ["sha256"])
            self.roles[name].targets = {plan.path: plan} if "rollout" in name else {}

    def sizes(self) -> dict[str, int]:
        """Bytes of the newest file of each role that a device reads."""
        found: dict[str, int] = {}
        for role in ROLES:
            versioned = [name for name in self.files if name.endswith(f".{role}.json")]
            newest = [name for name in versioned if name.startswith("metadata/")]
            file = f"metadata/{role}.json"
            if newest:
                file = max(newest, key=lambda name: int(name[len("metadata/") :].partition(".")[0]))
            found[role] = len(self.files[file])
        return found


def _measure(case: Case, directory: Path) -> Grown:
    simulator = _Counting(case)
    repository = Repository(
        simulator, model=MODEL, directory=directory, trusted_root=simulator.trusted_root
    )

    def look() -> tuple[int, float]:
        simulator.read, begun = 0, time.process_time()
        repository.look(FLOOR, now=NOW, keep=lambda floor: None)
        return simulator.read, (time.process_time() - begun) * 1000

    sizes, first, quiet = simulator.sizes(), look(), look()
    assert simulator.plan is not None
    simulator.changed = frozenset({ROLLOUT})
    simulator.offer(simulator.add_entry(0), state=PlanState.PAUSED, admitted_ppm=1)
    another_plan = look()
    simulator.changed = frozenset({ROLLOUT, RELEASES})
    simulator.offer(simulator.add_entry(case.releases))
    return Grown(case, sizes, first, quiet, another_plan, look())


def measure_growth(cases: Sequence[Case] = CASES) -> list[Grown]:
    """Each case in turn, from an empty device on."""
    grown = []
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="limpet-bench-") as place:
            grown.append(_measure(case, Path(place)))
    return grown


def shown(grown: Sequence[Grown]) -> str:
    """The cases for a person."""
    head = ("models", "releases", "years", *(role.partition("/")[0] for role in ROLES))
    rows = [(*head, "first", "no change", "another plan", "another release")]
    for one in grown:
        looks = (one.first, one.quiet, one.another_plan, one.another_release)
        cells = [f"{size:,} B {spent:.1f} ms" for size, spent in looks]
        case = (str(one.case.models), str(one.case.releases), str(one.case.years))
        rows.append((*case, *(f"{one.sizes[role]:,}" for role in ROLES), *cells))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (zip(row, widths, strict=True) for row in rows)
    return "\n".join("  ".join(cell.rjust(width) for cell, width in line) for line in lines)
