"""The watcher: real sockets of real processes in a network of their own; and the comparison."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.ports import held_port
from tests.release.workshop import EXAMPLE

from limpet.errors import Unavailable
from limpet.product import load_product
from limpet.release.gate import Finding, Verdict, _watcher
from limpet.release.gate._trial import Seen, Socket
from limpet.release.gate._watcher import Open, parse_table
from limpet.release.gate.rules.interfaces_as_declared import judge_surface

PATIENCE = 120.0
ANYWHERE = "0.0.0.0"  # noqa: S104 - what a table says
DESIGN = load_product(EXAMPLE / "product.toml")
GATEWAY = Socket("tcp", ANYWHERE, 8443, "gateway")
ANNOUNCER = Socket("udp", ANYWHERE, 5353, "announcer")

EVERYTHING = """
import socket, sys, time

held = [
    socket.create_server(("", 2323)),
    socket.create_server(("::1", 2324), family=socket.AF_INET6),
]
for kind, address in (
    ((socket.AF_INET, socket.SOCK_DGRAM), ("127.0.0.1", 1900)),
    ((socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP), None),
    ((socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)), None),
    ((socket.AF_UNIX, socket.SOCK_STREAM), "\\0a-name"),
    ((socket.AF_UNIX, socket.SOCK_STREAM), sys.argv[1]),
):
    one = socket.socket(*kind)
    if address:
        one.bind(address)
    if kind[0] == socket.AF_UNIX:
        one.listen()
    held.append(one)
calling = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
calling.connect(("127.0.0.1", 53))  # a question under way is no way in
held += [calling, socket.create_connection(("127.0.0.1", 2323))]
"""
KNOCKED = """
with socket.create_server(("", 8443)) as door:
    for _ in range(2):
        door.accept()[0].close()
"""
"""The watcher knocks at each look: the second has seen all that was open before, and by whom."""

HIDES = """
import os, signal, sys, time

hidden, told = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with open(sys.argv[1], "w") as noted:
            noted.write(str(os.getpid()))
        os.write(told, b"!")
        time.sleep(600)
    os._exit(0)
os.read(hidden, 1)
"""


def watch(*command: str, under: Sequence[str] = (), port: int = 8443) -> tuple[Seen, str]:
    """What the watcher tells of `command`, which ends by itself; and what it said on stderr."""
    order = {
        "command": command,
        "parent": os.getpid(),
        "wanted": [],
        "port": port,
        "answer": PATIENCE,
        "living": 0.5,
        "late": 0.5,
    }
    words = [*under, sys.executable, "-I", "-S", _watcher.__file__, json.dumps(order)]
    done = subprocess.run(words, capture_output=True, timeout=150, text=True)
    told = json.loads(done.stdout)
    sockets = tuple(Socket(*one) for one in told.pop("sockets"))
    return Seen(**told, sockets=sockets), done.stderr


def need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("raw sockets are root's")


def test_whatever_a_process_opens_is_seen_with_its_name_and_refused(tmp_path: Path) -> None:
    need_root()
    seen, _ = watch(sys.executable, "-c", EVERYTHING + KNOCKED, str(tmp_path / "a-file"))
    assert not seen.answered
    assert seen.ended
    holder = {one.holder for one in seen.sockets}
    assert len(holder) == 1
    assert "python" in holder.pop()
    assert sorted((one.transport, one.address, one.port) for one in seen.sockets) == [
        ("packet", "every interface", 0),
        ("raw", ANYWHERE, 17),
        ("tcp", ANYWHERE, 2323),
        ("tcp", ANYWHERE, 8443),
        ("tcp", "::1", 2324),
        ("udp", "127.0.0.1", 1900),
        ("unix", "@a-name", 0),
    ]
    finding = judge_surface(DESIGN, seen)
    assert finding.verdict is Verdict.REFUSED
    text = "; ".join(fault.text for fault in finding.faults)
    for words in ("tcp port 2323", "tcp port 2324", "udp port 1900", "raw protocol 17", "packet"):
        assert words in text
    assert "a-name" not in text
    assert "a-name" in finding.listed[0]


def test_what_hides_from_its_parents_and_ignores_signals_is_ended_all_the_same(
    tmp_path: Path,
) -> None:
    noted = tmp_path / "pid"
    watch(sys.executable, "-c", HIDES, str(noted))
    assert not Path("/proc", noted.read_text()).exists()


def test_a_machine_that_gives_no_network_is_told_and_sockets_of_others_are_left_out() -> None:
    """The kernel's own limit on such namespaces, at none."""
    none = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
    under = ["unshare", "--user", "--map-root-user", "sh", "-c", none, "-"]
    if subprocess.run([*under, "true"], capture_output=True, timeout=150).returncode != 0:
        pytest.skip("no user namespace whose limits may be set here")
    listens = (
        "import socket, sys; host, _, port = sys.argv[2].rpartition(':')\n"
        "door = socket.create_server((host, int(port)))\n"
        "for _ in range(2): door.accept()[0].close()"
    )
    with socket.create_server(("127.0.0.1", 0)) as other, held_port() as port:
        seen, said = watch(sys.executable, "-c", listens, under=under, port=port)
        assert other.getsockname()[1] not in {one.port for one in seen.sockets}
    assert seen.shared_because == "no space left on device", said
    held = [(one.transport, one.address, one.port) for one in seen.sockets if one.holder]
    assert held == [("tcp", "127.0.0.1", port)]


def test_a_device_that_ends_by_itself_is_told() -> None:
    seen, said = watch(sys.executable, "-c", "raise SystemExit('not today')")
    assert (seen.answered, seen.ended, seen.sockets) == (False, True, ())
    assert said.strip() == "not today"


# --- the judgement


def judge(*sockets: Socket, shared: str = "") -> Finding:
    seen = Seen(shared_because=shared, answered=True, ended=False, sockets=sockets)
    return judge_surface(DESIGN, seen)


def test_what_is_declared_and_open_passes() -> None:
    assert judge(GATEWAY, ANNOUNCER).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("sockets", "words"),
    [
        ((GATEWAY,), "announcement: it declares udp port 5353, which nothing opens"),
        ((ANNOUNCER,), "local-api: it declares tcp port 8443, which nothing opens"),
        (
            (GATEWAY, ANNOUNCER, Socket("udp", ANYWHERE, 8443, "app")),
            "app opens udp port 8443 (0.0.0.0), which is not declared",
        ),
        (
            (GATEWAY, ANNOUNCER, Socket("udplite", "::", 5353, "")),
            "a process opens udplite port 5353 (::), which is not declared",
        ),
        (
            (GATEWAY, ANNOUNCER, Socket("tcp", "127.0.0.1", 80, "app")),
            "app opens tcp port 80 (127.0.0.1), which is not declared",
        ),
    ],
)
def test_one_port_too_many_or_too_few_is_refused(sockets: tuple[Socket, ...], words: str) -> None:
    finding = judge(*sockets)
    assert finding.verdict is Verdict.REFUSED
    assert [fault.text for fault in finding.faults] == [words]


def test_in_a_network_with_others_a_socket_of_nobody_is_not_held_against_the_device() -> None:
    nobodys = Socket("tcp", ANYWHERE, 22, "")
    with pytest.raises(Unavailable, match="may be another program's"):
        judge(GATEWAY, ANNOUNCER, nobodys, shared="refused")
    assert judge(GATEWAY, ANNOUNCER, nobodys).verdict is Verdict.REFUSED


def test_in_a_network_with_others_what_is_the_devices_is_judged() -> None:
    unseen = Socket("tcp", "127.0.0.1", 8443, "")  # a confined process, closed to its own user
    assert judge(unseen, ANNOUNCER, shared="refused").verdict is Verdict.PASSED
    seen = Socket("tcp", "127.0.0.1", 22, "app")
    finding = judge(unseen, ANNOUNCER, seen, Socket("tcp", ANYWHERE, 23, ""), shared="refused")
    assert [fault.text for fault in finding.faults] == [
        "app opens tcp port 22 (127.0.0.1), which is not declared"
    ]


# --- the kernel's tables


def test_lines_that_are_none_are_left_out() -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
    good = "0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 71 1 0"
    open_one = Open("tcp", "127.0.0.1", 8443, 71)
    assert list(parse_table("tcp", f"{head}{good}\n")) == [open_one]
    bad = (
        "",
        "0:",
        good.replace("0100007F", "xyz"),
        good.replace("20FB", ""),
        good[:60],
        "\0" * 40,
    )
    assert list(parse_table("tcp", head + "\n".join((*bad, good)))) == [open_one]
    connected = good.replace(" 0A ", " 01 ")
    assert list(parse_table("tcp", f"{head}{connected}")) == []
    assert list(parse_table("unix", f"{head}{good}")) == []
