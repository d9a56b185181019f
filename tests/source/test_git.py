"""git as a program that only reads, in repositories that would have it do more."""

import os
import subprocess
from pathlib import Path

import pytest

from limpet.errors import Unavailable
from limpet.source import (
    _git,
    committed_blobs,
    find_commit,
    find_hidden,
    find_stale_submodules,
    head_commit,
    list_changes,
    list_commits,
    name_blob,
    read_committed,
)
from limpet.source._git import run_git


def git(where: Path, *words: str, **more: str) -> str:
    who = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", "A"), ("EMAIL", "a@example.com"))
    }
    done = subprocess.run(
        ["git", "-C", str(where), *words],
        env={**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null", **more},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "--quiet", "--initial-branch=main")
    (work / "part").mkdir()
    (work / "part" / "a.txt").write_text("a\n")
    (work / "b.txt").write_text("b\n")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "-m", "Begin\n\nIssue: #1\nissue: #2\nSecurity-Fix: a hole")
    return work


def test_a_monitor_that_the_repository_names_is_not_started(work: Path, tmp_path: Path) -> None:
    monitor, trace = tmp_path / "monitor", tmp_path / "trace"
    monitor.write_text(f"#!/bin/sh\ntouch {trace}\n")
    monitor.chmod(0o755)
    git(work, "config", "core.fsmonitor", str(monitor))
    git(work, "config", "core.pager", str(monitor))
    list_changes(work)
    list_commits(work)
    assert not trace.exists()
    git(work, "status")  # the control: it would have been
    assert trace.exists()


def test_the_environment_does_not_lead_to_another_repository(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    here = head_commit(work)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert head_commit(work) == here


def test_a_commit_is_read_whole(work: Path) -> None:
    (commit,) = list_commits(work)
    assert commit.issues == ("#1", "#2")
    assert commit.security_fixes == ("a hole",)
    assert (commit.author, commit.subject) == (("A", "a@example.com"), "Begin")
    assert commit.id == head_commit(work)


def test_a_message_with_odd_bytes_stays_one_commit(work: Path) -> None:
    odd = b"Odd \x01\x1f\xff\n\nIssue: #3\n"
    file = work.parent / "message"
    file.write_bytes(odd)
    git(work, "commit", "--quiet", "--allow-empty", "-F", str(file))
    newest, oldest = list_commits(work)
    assert newest.issues == ("#3",)
    assert newest.subject.isprintable()
    assert oldest.subject == "Begin"


def test_only_commits_that_are_new_or_here_are_told(work: Path) -> None:
    first = head_commit(work)
    (work / "b.txt").write_text("bb\n")
    git(work, "commit", "--quiet", "-am", "Elsewhere")
    assert [one.subject for one in list_commits(work / "part", since=first)] == ["Elsewhere"]
    assert [one.subject for one in list_commits(work / "part", only_here=True)] == ["Begin"]


@pytest.mark.parametrize("name", ["HEAD", "main", "", "--all", "0" * 40, "abc"])
def test_a_commit_is_found_by_its_whole_id_alone(work: Path, name: str) -> None:
    with pytest.raises(Unavailable):
        find_commit(work, name)
    assert find_commit(work, head_commit(work)) == head_commit(work)


def test_files_are_those_below_the_directory(work: Path) -> None:
    blobs = committed_blobs(work / "part", "HEAD")
    assert blobs == {"a.txt": name_blob(b"a\n", like="0" * 40)}
    assert read_committed(work / "part", "HEAD", "a.txt") == b"a\n"
    assert read_committed(work / "part", "HEAD", "b.txt") is None


def test_a_flag_that_hides_changes_is_found(work: Path) -> None:
    assert find_hidden(work) == ()
    git(work, "update-index", "--skip-worktree", "b.txt")
    assert find_hidden(work) == ("b.txt",)


def test_submodules_are_followed_and_found_where_they_moved(work: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "--quiet", "--initial-branch=main")
    (inner / "c.txt").write_text("c\n")
    git(inner, "add", "--all")
    git(inner, "commit", "--quiet", "-m", "Begin")
    allow = ("-c", "protocol.file.allow=always")
    git(work, *allow, "submodule", "--quiet", "add", str(inner), "part/inner")
    git(work, "commit", "--quiet", "-am", "Add a part")
    assert find_stale_submodules(work) == ()
    assert "inner/c.txt" in committed_blobs(work / "part", "HEAD")
    git(work / "part" / "inner", "commit", "--quiet", "--allow-empty", "-m", "Go on")
    assert find_stale_submodules(work) == ("part/inner",)
    assert find_stale_submodules(work / "part") == ("inner",)


def test_an_answer_that_is_too_long_is_no_answer(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_git, "MAX_GIT_OUTPUT", 10)
    with pytest.raises(Unavailable, match="more than is read"):
        run_git(work, "log")


def test_git_that_does_not_answer_is_left(work: Path) -> None:
    with pytest.raises(Unavailable, match="in time"):
        run_git(work, "-c", "alias.wait=!sleep 30", "wait", seconds=0.3)


def test_without_git_a_history_is_unavailable(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(work))
    with pytest.raises(Unavailable, match="git is not installed"):
        head_commit(work)
