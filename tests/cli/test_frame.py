"""The command line's error boundary and output: what a person and a program get to see."""

import errno
import io
import json
import os
import pty
import select
import sys
from collections.abc import Callable

import msgspec
import pytest

from limpet.cli import _frame as frame
from limpet.errors import LimpetError, Misuse, Rejected, Unavailable

SECRET = "7KQ4-XXXX"


def raising(error: BaseException) -> Callable[[], object]:
    def command() -> object:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status"),
    [(Rejected("bad", "m"), 1), (Unavailable("m"), 3), (Misuse("m"), 70), (LimpetError("m"), 70)],
)
def test_a_foreseen_error_is_one_line_and_the_status_of_its_class(
    error: LimpetError, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert frame.guard(raising(error)) == status
    out, err = capsys.readouterr()
    assert (out, err) == ("", "limpet: error: m\n")


def test_a_hint_follows_on_its_own_line(capsys: pytest.CaptureFixture[str]) -> None:
    frame.guard(raising(Unavailable("port 443 is in use", hint="name another with --listen")))
    expected = "limpet: error: port 443 is in use\n  hint: name another with --listen\n"
    assert capsys.readouterr().err == expected


def test_a_message_cannot_drive_the_terminal_or_pose_as_a_line_of_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    frame.guard(raising(Rejected("bad", "model \x1b[2J\x07\nlimpet: all is well")))
    expected = "limpet: error: model \\x1b[2J\\x07\n  limpet: all is well\n"
    assert capsys.readouterr().err == expected


def test_a_bug_shows_neither_traceback_nor_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.guard(raising(KeyError(SECRET)), debug=False) == 70
    err = capsys.readouterr().err
    assert err.startswith("limpet: internal error: KeyError at test_frame.py:")
    assert "LIMPET_DEBUG=1" in err
    assert err.count("\n") == 1
    assert SECRET not in err


@pytest.mark.parametrize("error", [KeyError("k"), Rejected("bad", "m"), OSError(errno.EIO, "io")])
def test_a_traceback_is_shown_when_asked_for(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMPET_DEBUG", "1")
    frame.guard(raising(error))
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_an_interrupt_is_quiet_and_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.guard(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_went_away_is_no_error_worth_a_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert frame.guard(raising(BrokenPipeError())) == 141
    assert capsys.readouterr() == ("", "")


def test_an_error_of_the_system_is_one_line_that_names_the_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert frame.guard(raising(OSError(errno.ENOSPC, "No space left on device", "x.db"))) == 3
    err = capsys.readouterr().err
    assert err.startswith("limpet: error: No space left on device: x.db\n  hint: free some space")


def test_a_full_disk_under_the_output_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert frame.guard(lambda: print("result")) == 3
    assert "No space left on device" in capsys.readouterr().err


def test_an_exit_status_is_passed_on() -> None:
    assert frame.guard(raising(SystemExit(2))) == 2
    assert frame.guard(raising(SystemExit(None))) == 0
    assert frame.guard(lambda: None) == 0


def test_json_is_all_that_standard_output_gets(capsys: pytest.CaptureFixture[str]) -> None:
    class Pair(msgspec.Struct, frozen=True):
        name: str
        count: int

    frame.emit([Pair("a", 1)], json=True, human=lambda _: pytest.fail("not for a person"))
    assert json.loads(capsys.readouterr().out) == [{"name": "a", "count": 1}]


def test_a_person_gets_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    frame.emit(3, json=False, human=lambda value: print("three is", value))
    assert capsys.readouterr().out == "three is 3\n"


def test_what_json_cannot_carry_is_our_own_bug() -> None:
    with pytest.raises(Misuse, match="cannot be written as JSON"):
        frame.emit(object(), json=True, human=print)


def test_a_table_in_a_pipe_keeps_every_row_whole(capsys: pytest.CaptureFixture[str]) -> None:
    frame.print_table(["id", "text"], [["R1", "[bold]x[/] " + "y" * 150], ["R2", "\x1b[2J"]])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split(maxsplit=1)[1].rstrip() == "[bold]x[/] " + "y" * 150
    assert "\\x1b[2J" in lines[2]


def test_progress_is_silent_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with frame.progress("Working", total=2) as work:
        work.advance(note="first")
    assert capsys.readouterr() == ("", "")


def test_progress_is_seen_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    seen = b""
    with open(theirs, "w", closefd=True) as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with frame.progress("Working", total=2) as work:
            work.advance(note="the [first] step")
            work.advance()
        monkeypatch.undo()
        terminal.flush()
        while b"step" not in seen and select.select([ours], [], [], 1.0)[0]:
            seen += os.read(ours, 65536)
    os.close(ours)
    assert b"Working: the [first] step" in seen
