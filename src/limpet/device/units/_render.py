"""The units as text. Pure: a site and the roles' profiles in, files out."""

import resource
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from limpet.device.confine import NETWORKED, PROFILES, Profile
from limpet.device.link.permits import Role
from limpet.device.link.start import parse_address

__all__ = ["SYSUSERS", "TASKS", "Site", "render_units"]

SYSUSERS = "limpet.sysusers.conf"
BOOT = "limpet.service"
LOW_PORTS = 1024  # ip(7)

HEAD = (
    "# Written by `python -m limpet.device.units`; change the table in limpet.device.confine,",
    "# or add a drop-in (systemd.unit(5)).",
)

TASKS: Mapping[Role, str] = {
    Role.KEEPER: "makes and uses the permanent key",
    Role.ACCOUNTS: "checks passwords, keeps sessions",
    Role.APP: "the product's function",
    Role.UPDATER: "calls the vendor, writes the other slot",
    Role.GATEWAY: "accepts from the network",
    Role.ANNOUNCER: "tells the local network where the device is",
}

LIMITS: Mapping[int, str] = {
    resource.RLIMIT_AS: "LimitAS",
    resource.RLIMIT_FSIZE: "LimitFSIZE",
    resource.RLIMIT_NOFILE: "LimitNOFILE",
    resource.RLIMIT_NPROC: "LimitNPROC",
    resource.RLIMIT_CORE: "LimitCORE",
    resource.RLIMIT_MEMLOCK: "LimitMEMLOCK",
    resource.RLIMIT_MSGQUEUE: "LimitMSGQUEUE",
}

EVERYBODY = (
    "UMask=0077",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateMounts=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "PrivateIPC=yes",
    "RemoveIPC=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
)
"""What holds for boot, supervisor and every role."""

CONFINING = "capset prlimit64 seccomp setrlimit landlock_create_ruleset landlock_add_rule"
"""A role gives up the rest by itself; without these it could not, and would not start."""

ROLE_CALLS = (
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources @keyring",
    f"SystemCallFilter={CONFINING} landlock_restrict_self",
)

BOOT_CALLS = (
    "SystemCallFilter=@system-service capset",
    "SystemCallFilter=~@resources @keyring @setuid",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What differs from device to device."""

    python: str = "/usr/bin/python3"
    device: str = "/var/lib/limpet"
    listen: str = "[::]:443"
    app_calls_out: bool = False
    announces: bool = True

    @property
    def profiles(self) -> Mapping[Role, Profile]:
        """Of the roles that run there."""
        return {
            role: profile
            for role, profile in PROFILES.items()
            if role is not Role.ANNOUNCER or self.announces
        }


def render_units(site: Site) -> Mapping[str, str]:
    """Every file by its name: `limpet.service`, one `limpet-<role>.service` a role, the users."""
    files = {BOOT: _boot(site)}
    for role, profile in site.profiles.items():
        files[f"limpet-{role.value}.service"] = _role(role, profile, site)
    users = [f'u limpet-{role.value} - "limpet {role.value}"' for role in PROFILES]
    return files | {SYSUSERS: _text([*HEAD, *users])}


def _boot(site: Site) -> str:
    roles = " ".join(f"limpet-{role.value}.service" for role in site.profiles)
    return _text(
        [
            *HEAD,
            "[Unit]",
            "Description=limpet: boot and supervisor, which have no network",
            f"Wants={roles}",
            "After=local-fs.target systemd-sysusers.service",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=exec",
            f"ExecStart={site.python} -I -m limpet.device.boot {site.device}"
            f" --roles attach --listen {site.listen}",
            "Restart=always",
            "RestartSec=1s",
            "TimeoutStopSec=10s",
            "RuntimeDirectory=limpet",
            f"ReadWritePaths={site.device}",
            "PrivateNetwork=yes",
            "DevicePolicy=closed",
            "DeviceAllow=/dev/hwrng r",
            "IPAddressDeny=any",
            "RestrictAddressFamilies=AF_UNIX",
            "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL",
            *EVERYBODY,
            *BOOT_CALLS,
            "",
            "[Install]",
            "WantedBy=multi-user.target",
        ]
    )


def _role(role: Role, profile: Profile, site: Site) -> str:
    name = role.value
    return _text(
        [
            *HEAD,
            "[Unit]",
            f"Description=limpet: {name}, {TASKS[role]}",
            f"BindsTo={BOOT}",
            f"After={BOOT}",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            "Type=exec",
            f"User=limpet-{name}",
            f"Group=limpet-{name}",
            f"ExecStart={site.python} -I -m limpet.device.attach {name} {site.device}",
            "Restart=always",
            "RestartSec=250ms",
            "TimeoutStopSec=5s",
            *_files(role, site),
            *_network(role, site),
            *_devices(role),
            *(f"{LIMITS[kind]}={bound}" for kind, bound in profile.limits.items()),
            *EVERYBODY,
            *ROLE_CALLS,
        ]
    )


def _files(role: Role, site: Site) -> Iterable[str]:
    """Its own directory; those of the others are not there, whatever their mode."""
    others = [f"{site.device}/{other.value}" for other in PROFILES if other is not role]
    yield f"ReadWritePaths={site.device}/{role.value}"
    yield f"InaccessiblePaths={' '.join(f'-{path}' for path in (*others, f'{site.device}/log'))}"


def _network(role: Role, site: Site) -> Sequence[str]:
    """No network, or the families of its sockets; a low port for the gateway, until it listens."""
    if role not in NETWORKED and not (role is Role.APP and site.app_calls_out):
        return (
            "PrivateNetwork=yes",
            "PrivateUsers=yes",
            "IPAddressDeny=any",
            "RestrictAddressFamilies=AF_UNIX",
            "CapabilityBoundingSet=",
        )
    low = role is Role.GATEWAY and parse_address(site.listen)[1] < LOW_PORTS
    capability = "CAP_NET_BIND_SERVICE" if low else ""
    return (
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        f"CapabilityBoundingSet={capability}",
        f"AmbientCapabilities={capability}",
    )


def _devices(role: Role) -> Sequence[str]:
    """The app's product may have hardware: a drop-in names it (DeviceAllow=)."""
    return ("DevicePolicy=closed",) if role is Role.APP else ("PrivateDevices=yes",)


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
