"""The instruments: what they read out of bytes, files, repositories and processes."""

import os
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.audit import specimens
from tests.audit.little_device import Flaws, little_device

from limpet.audit import Endpoint, Target
from limpet.audit.finding import Verdict
from limpet.audit.instruments.certificates import private_keys_below
from limpet.audit.instruments.dossier import parse_lock, read_history, read_label_text
from limpet.audit.instruments.hello import (
    Offer,
    Reply,
    Version,
    build_hello,
    offer,
    parse_reply,
)
from limpet.audit.instruments.host import read_device_log, read_open_files
from limpet.audit.instruments.processes import (
    Process,
    parse_maps,
    parse_status,
    read_processes,
)
from limpet.audit.instruments.sockets import Echo, parse_sockets, probe_ports
from limpet.audit.judgements.attacks import judge_amplification
from limpet.audit.judgements.processes import judge_listeners, judge_roles
from limpet.crypto.keys import generate_key, key_to_pem, spki_sha256
from limpet.errors import Unavailable


def target(**given: object) -> Target:
    return Target(now=lambda: datetime.now(UTC), **given)  # type: ignore[arg-type]


# --- TLS by hand


@given(st.binary(max_size=200))
def test_nonsense_from_a_server_is_never_taken_for_acceptance(data: bytes) -> None:
    outcome = parse_reply(data)
    if outcome.reply is Reply.ACCEPTED:
        assert data[0] == 0x16
        assert data[5] == 2


def test_a_hello_offers_what_it_was_asked_to_and_names_no_address() -> None:
    hello = build_hello(
        Offer(version=Version.TLS_1_3, suites=(0x1302,)), server_name="127.0.0.1", random=b"r" * 32
    )
    assert b"\x13\x02" in hello
    assert b"127.0.0.1" not in hello
    named = build_hello(Offer(version=Version.TLS_1_2), server_name="th.local", random=b"r" * 32)
    assert b"th.local" in named


def test_a_real_server_takes_1_3_and_refuses_what_it_does_not_speak() -> None:
    with little_device() as device:
        taken = offer(device.endpoint, Offer(version=Version.TLS_1_3, groups=(0x17,)))
        assert (taken.reply, taken.version, taken.group) == (Reply.ACCEPTED, 0x0304, 0x17)
        old = offer(device.endpoint, Offer(version=Version.TLS_1_1, suites=(0xC009,)))
        assert old.reply is Reply.REFUSED
    with little_device(Flaws(old_tls=True)) as device:
        old = offer(device.endpoint, Offer(version=Version.TLS_1_1, suites=(0xC009,)))
        assert (old.reply, old.version) == (Reply.ACCEPTED, Version.TLS_1_1)


# --- the host


MAPS = """\
00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/x
00e03000-00e24000 rw-p 00000000 00:00 0 [heap]
35b1800000-35b1820000 rwxp 00000000 08:02 135522 /usr/lib/bad.so
"""
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1
   1: 0100007F:9C40 0900FEA9:01BB 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1
"""


def test_memory_that_is_writable_and_executable_is_seen() -> None:
    assert parse_maps(MAPS).writable_and_executable == 1
    assert parse_maps(MAPS).first_address == 0x400000


def test_status_fields_are_read() -> None:
    fields = parse_status("Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nCapEff:\t0000000000000000\n")
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


def test_listening_and_connected_sockets_are_told_apart() -> None:
    listening, connected = parse_sockets("tcp", TCP)
    assert listening.is_listening
    assert listening.local == ("127.0.0.1", 8443)
    assert connected.is_connected
    assert connected.remote == ("169.254.0.9", 443)


def test_a_process_of_this_device_is_found_with_its_listening_socket(tmp_path: Path) -> None:
    program = (
        "import socket,sys,time; s=socket.create_server(('127.0.0.1',0));"
        "print(s.getsockname()[1], flush=True); time.sleep(30)"
    )
    arguments = [sys.executable, "-c", program, "limpet.device.gateway", "--root", str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            found = read_processes(target(device_dir=tmp_path))
        finally:
            process.kill()
    assert [one.role for one in found] == ["gateway"]
    assert found[0].pid == process.pid
    assert [held.local[1] for held in found[0].sockets] == [port]
    assert not found[0].no_new_privileges


def test_a_device_that_does_not_run_here_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no process"):
        read_processes(target(device_dir=tmp_path))


def test_a_private_file_that_others_may_read_is_named(tmp_path: Path) -> None:
    keeper = tmp_path / "keeper"
    keeper.mkdir(mode=0o755)
    (keeper / "idevid.key").write_text("x")
    (keeper / "idevid.key").chmod(0o644)
    seen, loose = read_open_files(target(device_dir=tmp_path))
    assert seen == 2
    assert "keeper/idevid.key" in {one.path for one in loose}
    keeper.chmod(0o700)
    (keeper / "idevid.key").chmod(0o600)
    assert read_open_files(target(device_dir=tmp_path)) == (2, ())


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "device.log").write_bytes(b'{"event":"a","role":"x"}\n{"event":"b","de')
    assert [line.event for line in read_device_log(target(device_dir=tmp_path))] == ["a"]


def test_private_keys_are_found_by_the_hash_of_their_public_half(tmp_path: Path) -> None:
    key = generate_key()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "key.pem").write_bytes(key_to_pem(key))
    (tmp_path / "note.txt").write_text("no key here")
    (tmp_path / "locked.pem").write_bytes(key_to_pem(key, passphrase=b"a passphrase"))
    found = private_keys_below(tmp_path)
    assert found[spki_sha256(key.public_key()).hex()] == tmp_path / "deep" / "key.pem"
    assert sum(1 for name in found if name.startswith("locked:")) == 1


# --- the network


def test_a_responder_that_amplifies_is_caught() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as responder:
        responder.bind(("127.0.0.1", 0))
        port = responder.getsockname()[1]

        def respond() -> None:
            _, peer = responder.recvfrom(2048)
            responder.sendto(b"x" * 1400, peer)

        thread = threading.Thread(target=respond, daemon=True)
        thread.start()
        echoes = probe_ports(Endpoint("127.0.0.1", port), {port: b"question"})
        thread.join(timeout=5)
    assert echoes[0].factor == 175
    assert judge_amplification(echoes).verdict is Verdict.FAIL
    assert judge_amplification(echoes, announced=frozenset({port})).verdict is Verdict.FAIL


def test_multicast_dns_may_answer_its_link_with_little_more_where_it_is_declared() -> None:
    echoes = (Echo(5353, 46, 106), Echo(1900, 90, 0))
    assert judge_amplification(echoes).verdict is Verdict.FAIL
    declared = judge_amplification(echoes, announced=frozenset({5353}))
    assert declared.verdict is Verdict.PASS
    larger = judge_amplification((Echo(5353, 46, 400),), announced=frozenset({5353}))
    assert larger.verdict is Verdict.FAIL


# --- the dossier


def test_a_package_without_a_hash_is_counted() -> None:
    lock = parse_lock("x.txt", "# comment\na==1 \\\n    --hash=sha256:00\nb==2\n")
    assert (lock.packages, lock.hashed) == (2, 1)


def test_commits_without_an_identity_are_counted(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "Role",
        "GIT_AUTHOR_EMAIL": "role@example.com",
        "GIT_COMMITTER_NAME": "Role",
        "GIT_COMMITTER_EMAIL": "",
    }

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-C", str(tmp_path), *arguments],
            check=True,
            env=environment,
            capture_output=True,
        )

    git("init", "--quiet")
    (tmp_path / "product.toml").write_text("x")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    history = read_history(target(product_dir=tmp_path))
    assert (history.commits, history.anonymous, history.uncommitted) == (1, 1, 0)


def test_a_product_without_history_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no history"):
        read_history(target(product_dir=tmp_path))


def test_the_label_beside_the_device_is_found_and_its_text_read(tmp_path: Path) -> None:
    device = tmp_path / "th-0a1b2c3d"
    device.mkdir()
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "TH-0A1B2C3D.svg").write_text("<svg><text>Example</text><text>A1</text></svg>")
    assert read_label_text(target(device_dir=device)) == "Example A1"


# --- sockets, judged


def test_the_declared_datagram_port_is_the_announcers_and_no_other_is_open() -> None:
    announcer = specimens.process("announcer", specimens.socket(5353, protocol="udp"))
    heard = (*specimens.processes(), announcer)

    def judge(found: tuple[Process, ...], *ports: int) -> Verdict:
        return judge_listeners(found, 1, 8443, datagram_ports=frozenset(ports)).verdict

    assert judge(heard, 5353) is Verdict.PASS
    assert judge(heard) is Verdict.FAIL
    stray = specimens.process("app", specimens.socket(5683, protocol="udp"))
    assert judge((*heard, stray), 5353) is Verdict.FAIL
    assert judge_roles(heard).verdict is Verdict.PASS
    assert judge_roles((*heard, stray)).verdict is Verdict.FAIL
    taken = specimens.process("announcer", specimens.socket(5353))  # TCP
    assert judge_roles((*specimens.processes(), taken)).verdict is Verdict.FAIL
