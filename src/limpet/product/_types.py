"""What `product.toml` says, as frozen types.

Owns the shape of a design file. Single values are in `_words`; what parts must
say about each other is in `_rules`.
"""

from datetime import date
from enum import StrEnum

from ._development import Development
from ._part import Part
from ._words import (
    AnswerSeconds,
    Bandwidth,
    Bits,
    ClockTime,
    CodePointer,
    ContactUri,
    FunctionName,
    HealthDeadline,
    HoldDays,
    Host,
    Id,
    Interval,
    Language,
    Length,
    Line,
    ModelName,
    ModuleName,
    PackageName,
    Port,
    Prose,
    Revision,
    StatementId,
    TakeoverWait,
    Url,
)

__all__ = [
    "Acceptance",
    "AfterSupport",
    "AppModule",
    "Authentication",
    "Confinement",
    "ConfinementGap",
    "Credential",
    "Decision",
    "Decisions",
    "Deviation",
    "Direction",
    "HealthCheck",
    "Interface",
    "Maker",
    "Measure",
    "Model",
    "Origin",
    "Ownership",
    "Product",
    "SecurityContact",
    "Support",
    "Threat",
    "Transport",
    "Uniqueness",
    "Update",
    "User",
    "VendorServices",
    "Window",
]


class Direction(StrEnum):
    """Who begins: a peer (`in`) or the device (`out`)."""

    IN = "in"
    OUT = "out"


class Transport(StrEnum):
    """What carries an interface; `physical` has neither port nor host."""

    TCP = "tcp"
    UDP = "udp"
    PHYSICAL = "physical"


class Authentication(StrEnum):
    """How the parties of an interface prove who they are."""

    CLAIM_CODE = "claim-code"
    PASSWORD = "password"  # noqa: S105
    TOKEN = "token"  # noqa: S105
    CLIENT_CERTIFICATE = "client-certificate"
    SERVER_CERTIFICATE = "server-certificate"
    SIGNED_CONTENT = "signed-content"
    PHYSICAL_PRESENCE = "physical-presence"


class User(StrEnum):
    """Whose an interface is: limpet's own, or the product's code in the app."""

    PLATFORM = "platform"
    APP = "app"


class Origin(StrEnum):
    """Where a credential comes from."""

    MADE_ON_DEVICE = "made-on-device"
    MADE_IN_FACTORY = "made-in-factory"
    CHOSEN_BY_OWNER = "chosen-by-owner"
    ISSUED_BY_VENDOR = "issued-by-vendor"


class Uniqueness(StrEnum):
    """How many devices, people or sessions have the same credential."""

    PER_DEVICE = "per-device"
    PER_OWNER = "per-owner"
    PER_SESSION = "per-session"
    SHARED = "shared"


class AfterSupport(StrEnum):
    """What a device does once its support period is over (values as in the wire's)."""

    KEEPS_WORKING_LOCALLY = "keeps-working-locally"
    STOPS_REMOTE_FUNCTIONS = "stops-remote-functions"


class Confinement(StrEnum):
    """A mechanism by which a process of the device is held within its bounds.

    Landlock came in steps, and a kernel may have the first only: files (Linux 5.13),
    TCP ports (6.7), signals and abstract sockets (6.12).
    """

    USER_ID = "user-id"
    NO_NEW_PRIVILEGES = "no-new-privileges"
    RESOURCE_LIMITS = "resource-limits"
    NAMESPACES = "namespaces"
    SECCOMP = "seccomp"
    MEMORY_DENY_WRITE_EXECUTE = "memory-deny-write-execute"
    LANDLOCK = "landlock"
    LANDLOCK_NETWORK = "landlock-network"
    LANDLOCK_SIGNALS = "landlock-signals"


class Maker(Part, frozen=True):
    """Who makes the product, as printed on the label (draft-moore, 5.3)."""

    name: Line
    url: Url | None = None


class Model(Part, frozen=True):
    """What the product is: `name` for machines, `display_name` for people."""

    name: ModelName
    display_name: Line
    hardware_revisions: tuple[Revision, ...]
    description: Prose | None = None


class AppModule(Part, frozen=True):
    """The product's function: a module below `app/` with an attribute `app`.

    `requires` names the packages of others that it imports, which `device.lock` pins.
    """

    module: ModuleName
    requires: tuple[PackageName, ...] = ()


class VendorServices(Part, frozen=True):
    """The only hosts that a device calls; the egress policy is made from it (draft-moore, 2.1)."""

    hosts: tuple[Host, ...]


class Interface(Part, frozen=True):
    """One way into or out of the device: a port, a flow, a button, a wire.

    An outbound flow names its `hosts`, or in words its `peers` where these have no
    fixed name (the local network's name server).
    """

    id: Id
    description: Prose
    direction: Direction
    transport: Transport
    protocol: Line
    port: Port | None = None
    hosts: tuple[Host, ...] = ()
    peers: tuple[Line, ...] = ()
    authentication: tuple[Authentication, ...] = ()
    unauthenticated_because: Prose | None = None
    used_by: User = User.PLATFORM


class Credential(Part, frozen=True):
    """A secret that opens the device, or that the device opens others with.

    `entropy_bits` is what a generator guarantees; a secret that a person
    chooses has none to state and gives `minimum_length` and `measures` instead.
    """

    id: Id
    description: Prose
    origin: Origin
    uniqueness: Uniqueness
    interfaces: tuple[Id, ...]
    entropy_bits: Bits | None = None
    minimum_length: Length | None = None
    measures: tuple[Id, ...] = ()


class Acceptance(Part, frozen=True):
    """A threat that is knowingly left: by which role, why, until which review."""

    owner: Line
    reason: Prose
    review_by: date


class Threat(Part, frozen=True):
    """A specific threat considered, and what is done about it (draft-moore, 2.1.1)."""

    id: Id
    description: Prose
    interfaces: tuple[Id, ...]
    measures: tuple[Id, ...] = ()
    acceptance: Acceptance | None = None


class Measure(Part, frozen=True):
    """What is done: statements served, code that does it, checks that attack it."""

    id: Id
    description: Prose
    statements: tuple[StatementId, ...] = ()
    code: tuple[CodePointer, ...] = ()
    checks: tuple[StatementId, ...] = ()


class Decision(Part, frozen=True):
    """A design choice and why it was taken."""

    choice: Prose
    rationale: Prose


class Deviation(Part, frozen=True):
    """A statement that the product does not meet, or meets otherwise, and why."""

    statement: StatementId
    choice: Prose
    rationale: Prose


class Decisions(Part, frozen=True):
    """The choices that the standard asks to be explicit (draft-moore, 1, 2.2.3, 2.6.1)."""

    memory_protection: Decision
    flood_handling: Decision
    physical_attack: Decision
    deviations: tuple[Deviation, ...] = ()


class Window(Part, frozen=True):
    """When updates may be installed, in UTC until the owner sets a zone; may pass midnight."""

    start: ClockTime
    end: ClockTime


class HealthCheck(Part, frozen=True):
    """What a new firmware must show before it is kept (draft-moore, 2.4.4).

    The app's own word and the vendor's answer are always asked for; `functions` are readings of
    the app, without arguments, each of which must answer within `answer_seconds` as well.
    """

    functions: tuple[FunctionName, ...] = ()
    answer_seconds: AnswerSeconds = 2


class Update(Part, frozen=True):
    """How a device of this product keeps itself up to date, until its owner says otherwise.

    An interval between two checks is drawn from `check_interval_min_seconds` to
    `check_interval_max_seconds`, around `check_interval_seconds` (draft-moore, 2.4.1). An owner
    may hold a release back for `max_hold_days`, one that raises the security counter for
    `max_security_hold_days` (None: no less).
    """

    check_interval_seconds: Interval
    check_interval_min_seconds: Interval
    check_interval_max_seconds: Interval
    health_deadline_seconds: HealthDeadline
    max_hold_days: HoldDays
    max_security_hold_days: HoldDays | None = None
    automatic: bool = True
    default_window: Window | None = None
    bandwidth_bytes_per_second: Bandwidth | None = None
    health: HealthCheck = HealthCheck()


class Ownership(Part, frozen=True):
    """How a device of this product changes hands when its owner cannot help.

    `button`: the board tells limpet when a button is pressed that only a hand at the device
    reaches. Without one there is no takeover, and the label alone opens a device after a reset.
    """

    button: bool = False
    takeover_wait_hours: TakeoverWait = 72


class Support(Part, frozen=True):
    """The commitment made before selling (draft-moore, 5.1)."""

    until: date
    after: AfterSupport
    text: Prose


class SecurityContact(Part, frozen=True):
    """How to report a security bug, free of charge (draft-moore, 5.2; RFC 9116)."""

    contacts: tuple[ContactUri, ...]
    policy_url: Url
    languages: tuple[Language, ...]
    expires: date


class ConfinementGap(Part, frozen=True):
    """A mechanism that hardware or kernel lacks, and why that is borne (draft-moore, 2.6.1)."""

    mechanism: Confinement
    rationale: Prose


class Product(Part, frozen=True):
    """A whole design file that met every rule (only the loader makes one)."""

    maker: Maker
    model: Model
    app: AppModule
    vendor: VendorServices
    interfaces: tuple[Interface, ...]
    credentials: tuple[Credential, ...]
    threats: tuple[Threat, ...]
    measures: tuple[Measure, ...]
    decisions: Decisions
    update: Update
    support: Support
    security_contact: SecurityContact
    ownership: Ownership = Ownership()
    confinement_gaps: tuple[ConfinementGap, ...] = ()
    development: Development | None = None
