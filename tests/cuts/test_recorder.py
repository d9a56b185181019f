"""A program under strace becomes operations that lead to what it left on the disk."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cuts.calls import STRACE, Call, read_calls
from tests.cuts.disk import Disk, Node
from tests.cuts.operations import Entries, Mark, Recording, Sync
from tests.cuts.recorder import record
from tests.needs import need

BUSY = """
import os, sys, threading
root, marks = sys.argv[1:]
out = os.open(marks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
os.write(out, b'{"mark": "power-on"}\\n')
def put(path, data, flags=os.O_WRONLY | os.O_CREAT, at=None):
    fd = os.open(path, flags, 0o640)
    if at is not None:
        os.lseek(fd, at, os.SEEK_SET)
    os.write(fd, data); os.fsync(fd); os.close(fd)
    return fd
os.mkdir(root + "/place")
put(root + "/place/one", b"hello <world>, \\"quoted\\"\\n" * 500)
put(root + "/place/one", b"HE")
put(root + "/place/one", b"x", at=20_000)
put(root + "/kept", b" more", os.O_WRONLY | os.O_APPEND)
fd = os.open(root + "/cut", os.O_RDWR); os.ftruncate(fd, 3); os.close(fd)
put(root + "/emptied", b"new", os.O_WRONLY | os.O_TRUNC)
threads = [threading.Thread(target=put, args=(f"{root}/t{n}", b"%d" % n * 9)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
directory = os.open(root, os.O_RDONLY)
os.rename("t1", "place/t1", src_dir_fd=directory, dst_dir_fd=directory)
os.replace(root + "/t2", root + "/kept2")
os.unlink("t3", dir_fd=directory)
os.symlink("kept", root + "/link")
os.link(root + "/kept", root + "/second")
os.mkdir(root + "/gone"); os.rmdir(root + "/gone")
fd = os.open(root + "/open", os.O_WRONLY | os.O_CREAT, 0o600)
os.unlink(root + "/open"); os.write(fd, b"into nothing")
if os.fork() == 0:
    put(root + "/child", b"of a child"); os._exit(0)
os.wait()
os.fchmod(fd, 0o600); os.chmod(root + "/kept", 0o604)
os.fsync(directory)
os.write(out, b'{"mark": "done"}\\n')
"""


@pytest.fixture
def directories(tmp_path: Path) -> tuple[Path, Path]:
    """A directory with some files, and it as it was before."""
    need("strace", package="strace", untried="nothing was recorded")
    root, before = tmp_path / "root", tmp_path / "before"
    root.mkdir()
    for name in ("kept", "cut", "emptied"):
        (root / name).write_bytes(b"as it was")
    shutil.copytree(root, before)
    return root, before


def traced(directories: tuple[Path, Path], program: str) -> Recording:
    root, before = directories
    trace, marks = root.with_name("trace"), root.with_name("marks")
    command = [*STRACE, "-o", str(trace), sys.executable, "-I", "-c", program]
    subprocess.run([*command, str(root), str(marks)], check=True, timeout=150)
    return record(read_calls(trace), root=root, before=before, marks=marks)


def test_a_busy_programs_operations_lead_to_what_lies_on_the_disk(
    directories: tuple[Path, Path],
) -> None:
    recording = traced(directories, BUSY)
    disk = Disk(recording)
    for operation in recording.operations:
        disk.apply(operation)
    assert shown(disk.state(frozenset(disk.loose()), {})) == listed(directories[0])
    marks = [one.what["mark"] for one in recording.operations if isinstance(one, Mark)]
    assert marks == ["power-on", "done"]
    assert sum(isinstance(one, Sync) for one in recording.operations) == 15


def shown(node: Node) -> dict[str, object]:
    """Every entry: a directory's own, a file's content and mode, a link's target."""
    return {
        name: shown(child)
        if child.is_directory
        else (child.data, None if child.is_link else child.mode)
        for name, child in node.entries.items()
    }


def listed(path: Path) -> dict[str, object]:
    """The same of a real directory."""
    found: dict[str, object] = {}
    for one in path.iterdir():
        if one.is_symlink():
            found[one.name] = (os.fsencode(one.readlink()), None)
        elif one.is_dir():
            found[one.name] = listed(one)
        else:
            found[one.name] = (one.read_bytes(), one.stat().st_mode & 0o777)
    return found


@pytest.mark.parametrize(
    "change",
    [
        "os.mkfifo(root + '/pipe')",
        "m = mmap.mmap(os.open(root + '/kept', os.O_RDWR), 9); m[0:1] = b'X'",
        "os.sendfile(os.open(root + '/cut', os.O_WRONLY), os.open(root + '/kept', 0), 0, 3)",
    ],
)
def test_a_change_that_the_recorder_does_not_understand_is_an_error(
    directories: tuple[Path, Path], change: str
) -> None:
    program = f"""
import mmap, os, sys
root, marks = sys.argv[1:]
out = os.open(marks, os.O_WRONLY | os.O_CREAT, 0o600)
os.write(out, b'{{"mark": "power-on"}}\\n')
{change}
"""
    with pytest.raises(AssertionError):
        traced(directories, program)


OWNER, DEVICE, OTHER = 10, 20, 30


def sent(process: int, ports: tuple[int, int]) -> Call:
    """Something that a process sent on a connection."""
    where = f"5<TCP:[127.0.0.1:{ports[0]}->127.0.0.1:{ports[1]}]>"
    return Call(0, process, "sendto", f'{where}, "\\x41", 1, 0, NULL, 0', 1)


def test_a_change_is_acknowledged_by_the_answer_to_it_not_by_what_others_say_meanwhile(
    tmp_path: Path,
) -> None:
    told = told_of_a_change(
        tmp_path,
        sent(OTHER, (600, 443)),  # the updater asks its vendor, before the owner asks
        sent(OWNER, (500, 8443)),
        sent(DEVICE, (443, 600)),  # the vendor answers
        made(tmp_path, "setting"),
        sent(DEVICE, (8443, 500)),
        made(tmp_path, "later"),
    )
    assert told == ["power-on", "begin", "setting", "end", "later"]


def test_on_a_new_connection_a_change_is_acknowledged_once_its_owner_says_so(
    tmp_path: Path,
) -> None:
    told = told_of_a_change(
        tmp_path,
        sent(OWNER, (500, 8443)),  # a request, on a connection that is just being closed
        sent(DEVICE, (8443, 500)),  # its goodbye
        sent(OWNER, (501, 8443)),
        sent(DEVICE, (8443, 501)),
        sent(OWNER, (501, 8443)),  # the end of the handshake, and the request
        sent(OWNER, (501, 8443)),
        sent(DEVICE, (8443, 501)),  # tickets
        made(tmp_path, "setting"),
        sent(DEVICE, (8443, 501)),
        made(tmp_path, "later"),
    )
    assert told == ["power-on", "begin", "setting", "later", "end"]


def told_of_a_change(tmp_path: Path, *calls: Call) -> list[object]:
    """The names and marks of a recording in which the owner asks for something, and is answered."""
    root, marks = tmp_path / "place", tmp_path / "marks"
    root.mkdir()

    def marked(**mark: object) -> Call:
        text = f'3<{hexed(str(marks))}>, "{hexed(json.dumps(mark))}", 99'
        return Call(0, OWNER, "write", text, 99)

    change = {"setting": "target", "value": 1}
    before = [marked(mark="power-on"), marked(mark="begin", **change)]
    after = [marked(mark="end", **change, acknowledged=True)]
    recording = record([*before, *calls, *after], root=root, before=root, marks=marks)
    return [
        one.changes[0][1] if isinstance(one, Entries) else one.what["mark"]
        for one in recording.operations
        if isinstance(one, (Entries, Mark))
    ]


def made(tmp_path: Path, name: str) -> Call:
    """The device makes a directory."""
    return Call(0, DEVICE, "mkdir", f'"{hexed(f"{tmp_path}/place/{name}")}", 0700', 0)


def hexed(text: str) -> str:
    """As strace writes it."""
    return "".join(f"\\x{one:02x}" for one in text.encode())
