"""What each process of the device may and holds: judgements over /proc.

Pure. Which role may do what with the network is DESIGN's table "Who holds what":
the gateway accepts, the updater connects, and nobody else touches it.
"""

from collections.abc import Sequence

from limpet.audit.finding import Finding, failed, passed, undetermined
from limpet.audit.instruments.host import KernelRandomness, Mechanism, OpenFile
from limpet.audit.instruments.processes import Process
from limpet.audit.instruments.sockets import Socket

__all__ = [
    "judge_compartments",
    "judge_confinement",
    "judge_egress",
    "judge_files",
    "judge_listeners",
    "judge_mechanisms",
    "judge_randomness",
    "judge_roles",
    "unconfined",
]

ACCEPTING = frozenset({"gateway"})
HEARING = frozenset({"announcer"})  # reads datagrams, where the product declares it
CONNECTING = frozenset({"updater"})
SERVING = frozenset({"gateway", "accounts", "keeper", "updater", "app"})
NO_NEW_CODE = "memory-deny-write-execute"
SEEDED_BITS = 256  # of the kernel's pool, once it is seeded (Linux 5.18 and later)


def judge_compartments(
    processes: Sequence[Process], randomize: int, *, resting: frozenset[str]
) -> Finding:
    """Pass if roles are apart in memory: W^X, ASLR, no core dumps, a process each (R2.6.1a).

    A role that rests has no memory that anybody could reach.
    """
    missing = SERVING - {one.role for one in processes} - resting
    if missing:
        return undetermined(f"no process of its own was found for {_names(missing)}")
    both = [one.role for one in processes if one.mapped.writable_and_executable]
    if both:
        return failed(f"memory both writable and executable in {_names(both)}")
    if randomize < 2:
        return failed(f"address space randomization is {randomize}, not 2")
    dumping = [
        one.role for one in processes if one.core_limit != 0 and one.role in SERVING | HEARING
    ]
    if dumping:
        return failed(f"core dumps of private memory are allowed for {_names(dumping)}")
    places = len({one.mapped.first_address for one in processes})
    at_rest = f"; at rest: {_names(resting)}" if resting else ""
    return passed(
        f"{len(processes)} processes at {places} different addresses, none with memory"
        f" writable and executable, no core dumps{at_rest}"
    )


def judge_mechanisms(said: Sequence[Mechanism], *, resting: frozenset[str]) -> Finding:
    """Pass if each role tried, and found, that no memory becomes executable (R2.6.1a)."""
    tried = {one.role: one for one in said if one.name == NO_NEW_CODE}
    if missing := SERVING - set(tried) - resting:
        return undetermined(f"{_names(missing)} says nothing of {NO_NEW_CODE}")
    if open_ := [role for role, one in tried.items() if not one.in_force]:
        return failed(f"memory can become executable in {_names(open_)}")
    filters = [f"{one.role}: {one.detail}" for one in said if one.name == "seccomp"]
    return passed(f"no memory becomes executable in {_names(set(tried))}; {'; '.join(filters)}")


def judge_confinement(processes: Sequence[Process]) -> Finding:
    """Pass if every serving role has given up privileges and filters its system calls (R2.6.2)."""
    serving = [one for one in processes if one.role in SERVING | HEARING]
    if not serving:
        return undetermined("no serving process was found")
    if loose := unconfined(serving):
        return failed("; ".join(loose))
    return passed(
        f"{len(serving)} serving processes: no_new_privs set, seccomp filter in force,"
        " no effective capability"
    )


def unconfined(processes: Sequence[Process]) -> tuple[str, ...]:
    """What each process has not given up, in words."""
    found = []
    for one in processes:
        loose = []
        if not one.no_new_privileges:
            loose.append("may gain privileges")
        if one.seccomp_mode != 2:
            loose.append("no seccomp filter")
        if one.effective_capabilities:
            loose.append(f"capabilities {one.effective_capabilities:#x}")
        if loose:
            found.append(f"{one.role}: {', '.join(loose)}")
    return tuple(found)


def judge_roles(processes: Sequence[Process]) -> Finding:
    """Pass if only the role that must touches the network (R2.6.2)."""
    stray = [
        f"{one.role} {'listens' if held.is_listening else 'is connected'} ({held.protocol})"
        for one in processes
        for held in one.sockets
        if (held.is_listening and one.role not in _may_listen(held))
        or (held.is_connected and one.role not in ACCEPTING | CONNECTING)
    ]
    if stray:
        return failed(", ".join(stray))
    quiet = sorted({one.role for one in processes if not one.sockets})
    return passed(f"no Internet socket in {_names(quiet)}")


def judge_listeners(
    processes: Sequence[Process], declared: int, port: int, *, datagram_ports: frozenset[int]
) -> Finding:
    """Pass if no more ports are open than the design file declares inbound interfaces, and no UDP
    port but those that it declares (R2.1f)."""
    listening = [held for one in processes for held in one.sockets if held.is_listening]
    datagrams = [held for held in listening if held.protocol.startswith("udp")]
    ports = sorted({held.local[1] for held in listening if held not in datagrams})
    heard = {held.local[1] for held in datagrams}
    if heard - datagram_ports:
        return failed(f"UDP ports {sorted(heard - datagram_ports)} are open")
    if len(ports) > declared:
        return failed(f"ports {ports} are open, {declared} inbound interfaces are declared")
    if port not in ports:
        return undetermined(f"the audited port {port} is not among the device's ports {ports}")
    more = f"UDP port {sorted(heard)}, declared" if heard else "no UDP port"
    return passed(f"TCP port {ports} open, {declared} inbound interfaces declared, {more}")


def _may_listen(held: Socket) -> frozenset[str]:
    return HEARING if held.protocol.startswith("udp") else ACCEPTING


def judge_egress(processes: Sequence[Process], allowed: frozenset[tuple[str, int]]) -> Finding:
    """Pass if what is connected outward is the updater's, and to the vendor only (R2.1d)."""
    inbound = {
        held.local
        for one in processes
        if one.role in ACCEPTING
        for held in one.sockets
        if held.is_listening
    }
    ports = {port for _, port in inbound}
    outward = [
        (one.role, held.remote)
        for one in processes
        for held in one.sockets
        if held.is_connected and held.local[1] not in ports
    ]
    stray = [f"{role} to {peer[0]}:{peer[1]}" for role, peer in outward if peer not in allowed]
    if stray:
        return failed(f"connected to others than the vendor: {', '.join(stray)}")
    return passed(f"{len(outward)} outward connections now, none to others than the vendor")


def judge_files(seen: int, loose: Sequence[OpenFile]) -> Finding:
    """Pass if nobody but its owner can read or change a private file (R2.1b)."""
    if loose:
        listed = ", ".join(f"{one.path} ({one.mode:o})" for one in loose[:4])
        return failed(f"{len(loose)} of {seen} private files are open to others: {listed}")
    return passed(f"{seen} private files and directories, none open to other users")


def judge_randomness(kernel: KernelRandomness) -> Finding:
    """Pass if the kernel's generator is seeded (R3.1a)."""
    if kernel.entropy_bits < SEEDED_BITS:
        return failed(f"the kernel's generator has {kernel.entropy_bits} bits of entropy")
    return passed(f"the kernel's generator is seeded with {kernel.entropy_bits} bits")


def _names(roles: Sequence[str] | frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(set(roles))) or "none"
