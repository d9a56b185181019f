"""What sound and unsound products would measure, for checks that need more than a network.

Each bad one is a good one with a single thing changed.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from limpet.audit.instruments.dossier import Design, read_design
from limpet.audit.instruments.host import Mechanism
from limpet.audit.instruments.processes import Mapped, Process
from limpet.audit.instruments.repository import Repository, Role
from limpet.audit.instruments.sockets import ESTABLISHED, LISTEN, Socket
from limpet.audit.target import Observations, Target
from limpet.wire.release import Bounds, Group, Image, ReleaseManifest
from limpet.wire.rollout import Plan, PlannedRelease, PlanState
from limpet.wire.watch import WatchedEcosystem, WatchedRelease, WatchRecord

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
THERMOSTAT = Path(__file__).parents[2] / "examples" / "thermostat"


def design() -> Design:
    return read_design(Target(product_dir=THERMOSTAT, now=lambda: NOW))


def change(design_: Design, **changed: object) -> Design:
    """The design with some parts of the product replaced."""
    return Design(msgspec.structs.replace(design_.product, **changed), design_.problems)


def design_with_updates_off() -> Observations:
    sound = design()
    off = msgspec.structs.replace(sound.product.update, automatic=False)
    return seeded({read_design: change(sound, update=off)})


def seeded(measurements: dict[object, object]) -> Observations:
    """Observations in which these measurements were already taken."""
    observations = Observations()
    for measure, result in measurements.items():
        observations.take(measure, lambda result=result: result)  # type: ignore[misc]
    return observations


def socket(
    local: int,
    remote: tuple[str, int] = ("192.0.2.0", 0),
    protocol: str = "tcp",
) -> Socket:
    state = LISTEN if remote[1] == 0 else ESTABLISHED
    return Socket(
        protocol=protocol, local=("127.0.0.1", local), remote=remote, state=state, inode=local
    )


def process(role: str, *sockets: Socket) -> Process:
    number = sum(role.encode())
    return Process(
        role=role,
        pid=number,
        uid=1000,
        effective_capabilities=0,
        no_new_privileges=True,
        seccomp_mode=2,
        core_limit=0,
        mapped=Mapped(0, number << 20),
        sockets=sockets,
    )


def processes() -> tuple[Process, ...]:
    return (
        process("accounts"),
        process("app"),
        process("gateway", socket(8443), socket(8443, ("127.0.0.1", 40000))),
        process("keeper"),
        process("supervisor"),
        process("updater", socket(40001, ("127.0.0.1", 9443))),
    )


def processes_with(role: str, **changed: object) -> tuple[Process, ...]:
    return tuple(replace(p, **changed) if p.role == role else p for p in processes())  # type: ignore[arg-type]


def mechanisms(**changed: bool) -> tuple[Mechanism, ...]:
    """What sound roles say of themselves; `changed` tells which of them may make new code."""
    roles = ("accounts", "app", "gateway", "keeper", "updater")
    return tuple(
        Mechanism(role, "memory-deny-write-execute", in_force=not changed.get(role, False))
        for role in roles
    ) + tuple(Mechanism(role, "seccomp", in_force=True, detail="90 calls") for role in roles)


def manifest(version: str = "1.0.0", *, interface: int = 1, step: int = 250_000) -> ReleaseManifest:
    digest = "0" * 64
    return ReleaseManifest(
        model="thermostat",
        hardware_revisions=("A1",),
        version=version,
        security_counter=1,
        interface_version=interface,
        minimum_version="0.0.0",
        built_at=NOW,
        image=Image(
            path=f"images/{digest}.img",
            packed=1,
            size=1,
            codec="zlib",
            groups=(Group(packed=1, size=1, sha256=digest),),
            tree_sha256=digest,
        ),
        bounds=Bounds(
            not_before=NOW,
            minimum_duration_seconds=3600 if step < 1_000_000 else 0,
            largest_step_ppm=step,
        ),
    )


def plan(admitted: int, previous: int = 0) -> Plan:
    return Plan(
        model="thermostat",
        state=PlanState.RUNNING,
        release=PlannedRelease(version="1.0.0", manifest_sha256="0" * 64),
        admitted_ppm=admitted,
        previous_ppm=previous,
        issued_at=NOW,
    )


def role(name: str, key: str, scheme: str = "ed25519") -> Role:
    return Role(
        name=name,
        version=1,
        expires=NOW + timedelta(days=1),
        threshold=1,
        keys=frozenset({key}),
        schemes=frozenset({scheme}),
    )


def repository(**changed: object) -> Repository:
    names = (
        "root",
        "targets",
        "snapshot",
        "timestamp",
        "releases/thermostat",
        "rollout/thermostat",
    )
    sound = Repository(
        root_is_given=True,
        spec_version="1.0.31",
        roles={name: role(name, f"key of {name}") for name in names},
        releases=(manifest("1.0.0"), manifest("1.1.0")),
        support=(),
        plans=(plan(10_000), plan(250_000, 10_000)),
    )
    return replace(sound, **changed)  # type: ignore[arg-type]


def ecosystem(**changed: object) -> WatchedEcosystem:
    values: dict[str, object] = {
        "name": "PyPI",
        "advisories": 9,
        "newest": NOW - timedelta(days=1),
        "imported_at": NOW - timedelta(days=1),
    }
    return WatchedEcosystem(**(values | changed))  # type: ignore[arg-type]


def watched(version: str, *, looked_up: bool = True) -> WatchedRelease:
    return WatchedRelease(
        model="thermostat", version=version, components=12, sbom="0" * 64, looked_up=looked_up
    )


def watch(**changed: object) -> WatchRecord:
    values: dict[str, object] = {
        "looked_at": NOW - timedelta(days=1),
        "conclusive": True,
        "releases": (watched("1.0.0"), watched("1.1.0")),
        "advisories": 9,
        "digest": "0" * 64,
        "ecosystems": (ecosystem(),),
        "open": {},
        "open_fixable": 0,
        "closed": {"fixed-by-release": 2, "left-unfixed": 0},
        "longest_days_to_fix": 12.5,
    }
    return WatchRecord(**(values | changed))  # type: ignore[arg-type]


def withdrawal(version: str) -> Plan:
    release = PlannedRelease(version=version, manifest_sha256="0" * 64)
    return Plan(model="thermostat", state=PlanState.WITHDRAWN, release=release, issued_at=NOW)
