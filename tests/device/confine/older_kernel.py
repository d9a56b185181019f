"""Runs a program as on a kernel with less: `older_kernel.py LANDLOCK[,no-seccomp] PROGRAM…`.

LANDLOCK is the version that the program and its children are to find, 0 for none. Nothing
in them is replaced: a seccomp filter hands the question for the version to this process,
which answers it (seccomp_unotify(2)); without Landlock, the call is one that the kernel
does not know (ENOSYS), as is seccomp(2) with `no-seccomp`. A kernel that old has no
PR_SET_MDWE either (EINVAL). x86_64 and aarch64.
"""

import array
import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
SECCOMP, PRCTL = {"x86_64": (317, 157), "aarch64": (277, 167)}[platform.machine()]
SET_MDWE = 65
LANDLOCK_CREATE, VERSION = 444, 1
NEW_LISTENER = 8
ALLOW, ASK, REFUSE = 0x7FFF0000, 0x7FC00000, 0x00050000 | errno.ENOSYS
UNKNOWN = 0x00050000 | errno.EINVAL
RECEIVE, SEND = 0xC0502100, 0xC0182101  # _IOWR('!', 0 | 1, struct seccomp_notif…)
QUESTION_BYTES = 80


def main() -> int:
    wanted, _, more = sys.argv[1].partition(",")
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        listener = install(program(int(wanted), without_seccomp=more == "no-seccomp"))
        theirs.sendmsg(
            [b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))]
        )
        theirs.close()
        os.close(listener)
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606
    theirs.close()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os.kill(child, number))
    _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    listener = fds[0]
    answerer = os.fork()
    if answerer == 0:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        answer(listener, int(wanted))
        os._exit(0)
    os.close(listener)
    _, status = os.waitpid(child, 0)
    os.waitpid(answerer, 0)  # ends when the last process under the filter has
    return os.waitstatus_to_exitcode(status) & 0xFF


def program(version: int, *, without_seccomp: bool) -> bytes:
    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    load, equal, end = 0x20, 0x15, 0x06
    steps = [step(load, 0)]
    if without_seccomp:
        steps += [step(equal, SECCOMP, 0, 1), step(end, REFUSE)]
        steps += [step(equal, PRCTL, 0, 4), step(load, 16), step(equal, SET_MDWE, 0, 1)]
        steps += [step(end, UNKNOWN), step(end, ALLOW)]
    if version == 0:
        steps += [step(equal, LANDLOCK_CREATE, 0, 1), step(end, REFUSE)]
    else:
        steps += [step(equal, LANDLOCK_CREATE, 0, 3), step(load, 32)]  # the third argument
        steps += [step(equal, VERSION, 0, 1), step(end, ASK)]
    return b"".join([*steps, step(end, ALLOW)])


def install(code: bytes) -> int:
    if LIBC.prctl(38, 1, 0, 0, 0) != 0:  # PR_SET_NO_NEW_PRIVS
        raise OSError(ctypes.get_errno(), "no_new_privs")
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    listener = LIBC.syscall(SECCOMP, 1, NEW_LISTENER, header)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(listener)


def answer(listener: int, version: int) -> None:
    while True:
        question = bytearray(QUESTION_BYTES)
        try:
            fcntl.ioctl(listener, RECEIVE, question)
            (number,) = struct.unpack_from("=Q", question)
            fcntl.ioctl(listener, SEND, struct.pack("=QqiI", number, version, 0, 0))
        except OSError as error:
            if error.errno == errno.EINTR:
                continue
            if error.errno != errno.ENOENT:
                return
            # Either the asker died meanwhile, or all have: then there is a hang-up.
            poll = select.poll()
            poll.register(listener, select.POLLIN)
            if any(event & select.POLLHUP for _, event in poll.poll(1000)):
                return


if __name__ == "__main__":
    sys.exit(main())
