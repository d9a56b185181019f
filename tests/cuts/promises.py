"""What the device had promised at a moment of its life, and in which phase of it that was.

Owns the reading of marks and of the device's own log. A setting holds from its answer on; between
its request and its answer the old value and the new one are both right.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tests.cuts.disk import LOG
from tests.cuts.operations import ROOT_INODE, Content, Entries, Mark, Operation, Recording

__all__ = ["Moment", "Promises", "moments"]


@dataclass(frozen=True, slots=True)
class Promises:
    """What must hold after a power cut now. Of a setting, the values that are right."""

    password: frozenset[str | None] = frozenset({None})  # None: no owner
    window: frozenset[int | None] = frozenset({None})
    target: frozenset[float | None] = frozenset({None})
    announcement: frozenset[bool | None] = frozenset({None})
    tokens: frozenset[str] = frozenset()  # labels that are there
    gone: frozenset[str] = frozenset()  # labels of which none may be there
    confirmed: str = ""  # the version that the vendor was told to be confirmed
    rejected: str = ""  # the version that never runs again
    tried: tuple[str, int] = ("", 0)  # version on trial, and starts that were made of it
    offered: str = ""  # the newest version that the vendor offers
    is_erased: bool = False  # a reset was answered
    may_be_erased: bool = False  # a reset was asked for

    def of(self, setting: str, values: frozenset[Any]) -> "Promises":
        """With other values that are right of a setting."""
        changed: dict[str, Any] = {setting: values}
        return replace(self, **changed)

    def canonical(self) -> bytes:
        """The same for equal promises, in any process."""
        values = (getattr(self, one.name) for one in fields(self))
        return repr(
            [sorted(map(repr, one)) if isinstance(one, frozenset) else one for one in values]
        ).encode()


@dataclass(frozen=True, slots=True)
class Moment:
    """One operation of the life, with what is promised once it is done."""

    number: int
    operation: Operation
    phase: str
    promises: Promises


@dataclass(slots=True)
class _Reader:
    first: str
    promises: Promises = field(default_factory=Promises)
    phase: str = "first start"
    asked: list[str] = field(default_factory=list)

    def mark(self, mark: Mapping[str, Any]) -> None:
        kind, known = mark["mark"], self.promises
        if kind == "offered":
            self.promises = replace(known, offered=mark["version"])
            self.phase = "check"
        elif kind == "promise":
            self.promises = replace(known, confirmed=mark["version"])
            self.phase = "settings"
        elif kind == "begin":
            self._begun(mark["setting"], mark["value"])
        elif kind == "end":
            self._answered(mark["setting"], mark["value"])
        elif kind == "reached" and mark["what"] == "fallen back":
            self.promises = replace(known, rejected=known.offered)

    def _begun(self, setting: str, value: Any) -> None:
        known = self.promises
        if setting == "password":
            if known.password == {None}:
                self.phase = "settings"
            self.promises = replace(known, password=known.password | {value}, tokens=frozenset())
        elif setting in ("window", "target", "announcement"):
            self.promises = known.of(setting, getattr(known, setting) | {value})
        elif setting == "revoked":
            self.promises = replace(known, tokens=known.tokens - {value})
        elif setting == "reset":
            self.phase = "reset"
            self.promises = replace(known, may_be_erased=True, tokens=frozenset())
        if setting == "token":
            self.asked.append(value)

    def _answered(self, setting: str, value: Any) -> None:
        known = self.promises
        if setting == "password":
            gone = known.gone | frozenset(self.asked)
            self.asked = []
            self.promises = replace(known, password=frozenset({value}), gone=gone)
        elif setting in ("window", "target", "announcement"):
            self.promises = known.of(setting, frozenset({value}))
        elif setting == "token":
            self.promises = replace(known, tokens=known.tokens | {value})
        elif setting == "revoked":
            self.promises = replace(known, gone=known.gone | {value})
        elif setting == "reset":
            self.promises = replace(known, is_erased=True)

    def logged(self, entry: Mapping[str, Any]) -> None:
        event, detail, known = entry["event"], entry.get("detail", ""), self.promises
        if event == "update-begins":
            self.phase = "download"
        elif event == "update-installed":
            self.phase = "switch"
        elif event == "starting" and detail.endswith("on trial"):
            version = detail.split("version ")[1].split(",")[0]
            count = known.tried[1] + 1 if known.tried[0] == version else 1
            self.promises = replace(known, tried=(version, count))
            self.phase = "trial"
        elif event == "trial-failed":
            self.phase = "fall-back"
        elif event == "update-confirmed":
            self.phase = "confirm"


def moments(recording: Recording, *, first: str) -> Iterator[Moment]:
    """The life, operation by operation."""
    reader = _Reader(first)
    logs = _log_inodes(recording)
    for number, operation in enumerate(recording.operations):
        match operation:
            case Mark(what):
                reader.mark(what)
            case Content(inode, _, data) if inode in logs and data:
                for line in data.splitlines():
                    reader.logged(json.loads(line))
        yield Moment(number, operation, reader.phase, reader.promises)


def _log_inodes(recording: Recording) -> frozenset[int]:
    """Every file that was ever called device.log in the log's directory."""
    directory = dict(recording.inodes[ROOT_INODE].entries).get(LOG, -1)
    found = set(dict(recording.inodes[directory].entries).values()) if directory >= 0 else set()
    for operation in recording.operations:
        if isinstance(operation, Entries):
            for parent, name, child in operation.changes:
                if parent == ROOT_INODE and name == LOG and child is not None:
                    directory = child
                elif parent == directory and child is not None:
                    found.add(child)
    return frozenset(found)
