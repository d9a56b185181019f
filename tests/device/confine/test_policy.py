"""The policy of system calls: what it says, and that the kernel's program says the same."""

import errno
import platform
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.device.confine.filter_machine import ALLOW, KILL, refusal, run
from tests.needs import need

from limpet.device.confine._allowed import (
    COMPARTMENTS,
    REFUSED,
    SELF,
    Argument,
    Compartment,
)
from limpet.device.confine._calls import ALIKE, NEWEST, NUMBERS
from limpet.device.confine._networks import _OF_THE_MACHINE
from limpet.device.confine._seccomp import MACHINES, allowed, build, build_without_networks

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
"""Where Debian's linux-libc-dev has the numbers; aarch64 uses the kernel's generic ones."""

OWN = 4711
MAPPING = {"mmap": 2, "mprotect": 2}
"""Calls that give rights to memory, and where the rights stand."""

EVERYWHERE = [(machine, compartment) for machine in MACHINES for compartment in Compartment]
everywhere = pytest.mark.parametrize(("machine", "compartment"), EVERYWHERE)


def verdict(machine: str, compartment: Compartment, number: int, *arguments: int) -> int:
    program = build(machine, compartment, pid=OWN)
    return run(program, MACHINES[machine][0], number, arguments)


def number_of(machine: str, name: str) -> int | None:
    return NUMBERS[name][MACHINES[machine][1]]


def numbers_in(header: str) -> dict[str, int]:
    """Every call of a header; the generic one names some by their width (__NR3264_)."""
    found = {
        name: int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", header)
    }
    for name, wide in re.findall(r"#define __NR_(\w+) __NR3264_(\w+)", header):
        if wide in found:
            found.setdefault(name, found[wide])
    return found


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_every_number_is_the_kernels(machine: str) -> None:
    header = str(HEADERS[machine])
    need(header, package="linux-libc-dev", untried="no number was compared with the kernel's")
    kernel = numbers_in(HEADERS[machine].read_text())
    assert len(kernel) > 250
    for name in NUMBERS:
        assert number_of(machine, name) == kernel.get(name), name


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_no_number_stands_twice_and_none_is_newer_than_the_policy(machine: str) -> None:
    numbers = [number for name in NUMBERS if (number := number_of(machine, name)) is not None]
    assert len(numbers) == len(set(numbers))
    assert max(numbers) <= NEWEST


def test_every_grant_has_a_reason_and_only_known_calls() -> None:
    for grants in COMPARTMENTS.values():
        for grant in grants:
            assert len(grant.why) > 15
            assert {call.name for call in grant.calls} <= set(NUMBERS)
    assert {call for alike in ALIKE for call in alike} <= set(NUMBERS)
    assert all(len(refusal.why) > 15 for refusal in REFUSED)


def test_a_call_is_alike_others_in_one_way_at_most() -> None:
    names = [name for alike in ALIKE for name in alike]
    assert len(names) == len(set(names))


@everywhere
def test_the_program_allows_what_the_policy_allows_and_nothing_else(
    machine: str, compartment: Compartment
) -> None:
    policy = {number_of(machine, name): ways for name, ways in allowed(compartment).items()}
    for number in range(NEWEST + 200):
        free = () in policy.get(number, ())
        expected = ALLOW if free else None
        said = verdict(machine, compartment, number, *([0xFFFFFFFF] * 6))
        if free:
            assert said == expected, number
        elif number not in policy:
            assert refusal(said) in (errno.EPERM, errno.ENOSYS), number
            assert (refusal(said) == errno.ENOSYS) == (number > NEWEST or number == 435), number


@everywhere
@given(data=st.data())
def test_the_program_checks_arguments_as_the_policy_says(
    machine: str, compartment: Compartment, data: st.DataObject
) -> None:
    checked = {n: ways for n, ways in allowed(compartment).items() if () not in ways}
    name = data.draw(st.sampled_from(sorted(checked)))
    number = number_of(machine, name)
    if number is None:
        return
    likely = sorted({v for way in checked[name] for one in way for v in one.values if v != SELF})
    values = st.sampled_from([*likely, OWN, 0, 4, 1 << 32, 7]) | st.integers(0, (1 << 64) - 1)
    arguments = data.draw(st.tuples(*[values] * 6))
    expected = any(all(_holds(one, arguments) for one in way) for way in checked[name])
    assert (verdict(machine, compartment, number, *arguments) == ALLOW) == expected


def _holds(check: Argument, arguments: tuple[int, ...]) -> bool:
    half = (arguments[check.index] >> (32 if check.high else 0)) & 0xFFFFFFFF
    return half & check.mask in [OWN if value == SELF else value for value in check.values]


@everywhere
@given(rights=st.integers(0, (1 << 64) - 1))
def test_no_memory_becomes_executable(machine: str, compartment: Compartment, rights: int) -> None:
    for name, place in MAPPING.items():
        number = number_of(machine, name)
        assert number is not None
        arguments = [0] * 6
        arguments[place] = rights | 4
        assert refusal(verdict(machine, compartment, number, *arguments)) == errno.EPERM
    for name in ("pkey_mprotect", "shmat", "remap_file_pages", "personality"):
        assert name not in allowed(compartment)


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_before_a_product_is_loaded_only_its_sockets_of_a_network_are_refused(machine: str) -> None:
    program = build_without_networks(machine, _OF_THE_MACHINE)

    def refused(number: int, *arguments: int) -> int:
        return refusal(run(program, MACHINES[machine][0], number, arguments))

    socket_call = number_of(machine, "socket")
    assert socket_call is not None
    internet, internet6, packet, vsock, express = 2, 10, 17, 40, 44  # linux/socket.h
    for family in (internet, internet6, packet, vsock, express, 255):
        assert refused(socket_call, family, 1) == errno.EPERM
    for family in (1, 16, 29, 31):  # Unix, netlink, CAN, Bluetooth
        assert refused(socket_call, family, 1) == 0
    assert refused(425) == errno.EPERM  # io_uring_setup: another way to a socket
    others = {number_of(machine, name) for name in NUMBERS} - {socket_call, None}
    assert {refused(number) for number in others if number is not None} == {0}
    for audit, _ in MACHINES.values():
        assert (run(program, audit, 0) == KILL) is (audit != MACHINES[machine][0])
    if machine == "x86_64":
        assert run(program, MACHINES[machine][0], 0x40000000 | 41) == KILL  # x32


@everywhere
def test_a_foreign_architecture_kills(machine: str, compartment: Compartment) -> None:
    program = build(machine, compartment, pid=OWN)
    for foreign in (0x40000003, 0x40000028, 0, 0xFFFFFFFF):  # i386, arm
        assert run(program, foreign, 39) == KILL
    others = [audit for other, (audit, _) in MACHINES.items() if other != machine]
    assert [run(program, audit, 39) for audit in others] == [KILL]
    if machine == "x86_64":
        assert run(program, MACHINES[machine][0], 0x40000000 | 39) == KILL  # x32


@everywhere
def test_signals_reach_nobody_but_the_process_itself(
    machine: str, compartment: Compartment
) -> None:
    for name in ("kill", "tgkill"):
        number = number_of(machine, name)
        assert number is not None
        assert verdict(machine, compartment, number, OWN, OWN, 6) == ALLOW
        for other in (0, 1, OWN + 1, 0xFFFFFFFF, (1 << 64) - 1):
            assert refusal(verdict(machine, compartment, number, other, OWN, 6)) == errno.EPERM


@everywhere
def test_limits_are_read_and_never_set(machine: str, compartment: Compartment) -> None:
    number = number_of(machine, "prlimit64")
    assert number is not None
    assert verdict(machine, compartment, number, 0, 7, 0, 1 << 40) == ALLOW
    for new in (1, 1 << 32, 0x7FFF00000000):
        assert refusal(verdict(machine, compartment, number, 0, 7, new, 0)) == errno.EPERM
    assert refusal(verdict(machine, compartment, number, 1, 7, 0, 0)) == errno.EPERM


@everywhere
def test_what_starts_programs_or_changes_the_system_is_granted_to_nobody(
    machine: str, compartment: Compartment
) -> None:
    never = {"execve", "execveat", "fork", "vfork", "ptrace", "bpf", "mount", "unshare", "setns"}
    never |= {"io_uring_setup", "keyctl", "userfaultfd", "chmod", "chown", "setrlimit", "bind"}
    never |= {"listen", "truncate", "link", "linkat", "seccomp", "utimensat", "chmod"}
    assert never.isdisjoint(allowed(compartment))
    ioctl, fcntl = number_of(machine, "ioctl"), number_of(machine, "fcntl")
    assert ioctl is not None
    assert fcntl is not None
    # Bytes into a terminal's input, a controlling terminal, addresses of interfaces; and who is
    # signalled by a descriptor, by which signal, when a directory changes.
    for request in (0x5412, 0x540E, 0x8914, 0x8924):
        assert refusal(verdict(machine, compartment, ioctl, 3, request)) == errno.EPERM
    for command in (8, 10, 1026):
        assert refusal(verdict(machine, compartment, fcntl, 3, command)) == errno.EPERM


@pytest.mark.skipif(platform.machine() not in MACHINES, reason="limpet has no filter for this one")
def test_a_program_is_short_enough_for_the_kernel() -> None:
    for machine, compartment in EVERYWHERE:
        assert len(build(machine, compartment, pid=OWN)) // 8 < 1024  # BPF_MAXINSNS is 4096
