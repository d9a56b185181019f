"""When an owner's change was answered: once the gateway sent, not once the owner had read it.

Owns the place of each answer among the operations. Knows the marks of a change, and of connections
only their ports and who sends.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.cuts.calls import Call
from tests.cuts.operations import Mark, Operation, Sync

__all__ = ["Answers"]


@dataclass(slots=True)
class _Change:
    """One that the owner asked for, and that was not answered yet."""

    owner: int  # the process that asks; others may be talking meanwhile
    ports: tuple[int, int] | None = None  # of its connection
    requests: int = 0  # how often it sent
    answer: int | None = None  # the number of the operation that comes next


@dataclass(slots=True)
class Answers:
    """Follows what is sent and marked; `at` is how many operations there were until then."""

    _change: _Change | None = None
    _found: list[tuple[int, Mark]] = field(default_factory=list)

    def sent(self, call: Call, at: int) -> None:
        """The owner's program sent a request, or the device an answer: from that on it holds.

        Where the owner sent more than the request, on a connection that had to be made anew, what
        the device sends may be of the handshake (its session tickets cross the request), and the
        change counts as answered when its owner says so.
        """
        change, ports = self._change, call.ports()
        if change is None or ports is None:
            return
        if call.process == change.owner:
            change.ports, change.answer = ports, None  # still asking
            change.requests += 1
        elif ports[::-1] == change.ports and change.answer is None and change.requests == 1:
            change.answer = at

    def marked(self, mark: Mapping[str, Any], process: int, at: int) -> Iterator[Operation]:
        """What a mark adds to the operations now: nothing if it is an answer's."""
        if mark["mark"] == "end":
            answer = self._change.answer if self._change else None
            if mark["acknowledged"]:
                self._found.append((at if answer is None else answer, Mark(mark)))
            self._change = None
            return
        if mark["mark"] == "begin":
            self._change = _Change(process)
        yield Mark(mark)

    def among(self, operations: Sequence[Operation]) -> Iterator[Operation]:
        """All operations, the answers where they were sent."""
        places = [at for at, _ in self._found]
        for number, operation in enumerate(operations):
            yield from (mark for at, mark in self._found if at == number)
            if isinstance(operation, Sync):
                later = bisect_left(places, operation.before)
                operation = Sync(operation.inode, operation.before + later)
            yield operation
        yield from (mark for at, mark in self._found if at >= len(operations))
