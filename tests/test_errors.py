"""Errors that name what they are about."""

import pytest

from limpet.device.link.launch import crash_line, readable
from limpet.errors import Misuse, Rejected, Unavailable, naming


def test_what_is_refused_names_its_file_once_and_says_what_to_do() -> None:
    with (
        pytest.raises(Rejected) as caught,
        naming("vendor/online", hint="outer"),
        naming("vendor/online/service.pem", hint="restore it"),
    ):
        raise Rejected("bad-certificate", "not a certificate in PEM")
    assert str(caught.value) == "vendor/online/service.pem: not a certificate in PEM (restore it)"
    assert caught.value.reason == "bad-certificate"


def test_an_advice_that_is_there_is_kept_and_a_bug_of_ours_is_not_dressed_up() -> None:
    with pytest.raises(Unavailable) as full, naming("f", hint="restore it"):
        raise Unavailable("cannot write g: no space left", hint="free some space")
    assert str(full.value) == "cannot write g: no space left (free some space)"
    with pytest.raises(Misuse) as bug, naming("f", hint="restore it"):
        raise Misuse("wrong call")
    assert str(bug.value) == "wrong call"


def test_a_crash_report_is_one_readable_line_for_a_person() -> None:
    assert (
        readable(crash_line(Unavailable("no disk", hint="add one"))) == "stopped: no disk (add one)"
    )
    with pytest.raises(KeyError) as lost:
        raise KeyError("lost")
    assert readable(crash_line(lost.value)) == "stopped: KeyError: 'lost'"
    for line in ("plain words", '{"event":"other","detail":"x"}', '{"event":1}', "[]", ""):
        assert readable(line) == line
