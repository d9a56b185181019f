"""A recording with one mistake in it, as a careless programmer would have made it.

Owns the rewriting. What the instrument finds in a life without mistakes it would find in these too;
that it finds something here is what makes the other result worth anything.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from tests.cuts.operations import (
    ROOT_INODE,
    Content,
    Entries,
    Operation,
    Recording,
    Sync,
    paths_of,
)

__all__ = ["in_place", "removed_first", "without_syncs"]


def without_syncs(recording: Recording, is_forgotten: Callable[[str], bool]) -> Recording:
    """No fsync of the files and directories that ever had a path for which this holds."""
    paths = paths_of(recording)

    def rewrite(operation: Operation) -> Iterable[Operation]:
        forgotten = isinstance(operation, Sync) and any(
            is_forgotten(path) for path in paths.get(operation.inode or ROOT_INODE, ())
        )
        return () if forgotten else (operation,)

    return _rewritten(recording, rewrite)


def in_place(recording: Recording, is_meant: Callable[[str], bool]) -> Recording:
    """Such a file is truncated, written and fsynced where it lies, not replaced by a rename."""
    data = {number: inode.data for number, inode in recording.inodes.items()}
    lies: dict[tuple[int, str], int] = {}
    becomes: dict[int, int] = {}
    paths = paths_of(recording)
    doomed = {
        change[2]
        for operation in recording.operations
        if isinstance(operation, Entries) and len(operation.changes) == 2
        for change in operation.changes[1:]
        if change[2] is not None and any(map(is_meant, paths[change[2]]))
    }

    def rewrite(operation: Operation) -> Iterator[Operation]:
        match operation:
            case Content(inode, offset, written) if inode in doomed:
                size = data[inode][:offset].ljust(offset, b"\0")
                data[inode] = size + (written or b"")
            case Sync(inode) if inode in doomed:
                return
            case Entries(((_, _, inode),)) if inode in doomed:
                return
            case Entries(((_, _, None), (directory, name, inode))) if inode in doomed:
                assert inode is not None
                place = directory, name
                if place not in lies:
                    lies[place] = inode
                    yield Entries(((directory, name, inode),))
                becomes[inode] = lies[place]
                yield Content(lies[place], 0, None)
                yield Content(lies[place], 0, data[inode])
                yield Sync(lies[place], len(recording.operations))
            case _:
                yield operation

    return _rewritten(recording, rewrite)


def removed_first(recording: Recording, is_meant: Callable[[str], bool]) -> Recording:
    """Such a file is removed before another gets its name."""
    paths = paths_of(recording)

    def rewrite(operation: Operation) -> Iterator[Operation]:
        match operation:
            case Entries((_, (directory, name, inode))) if inode is not None and any(
                map(is_meant, paths[inode])
            ):
                yield Entries(((directory, name, None),))
        yield operation

    return _rewritten(recording, rewrite)


def _rewritten(
    recording: Recording, rewrite: Callable[[Operation], Iterable[Operation]]
) -> Recording:
    made: list[Operation] = []
    lengths = []
    for operation in recording.operations:
        lengths.append(len(made))
        for one in rewrite(operation):
            if isinstance(one, Sync):
                one = replace(
                    one, before=lengths[one.before] if one.before < len(lengths) else len(made)
                )
            made.append(one)
    return Recording(recording.inodes, tuple(made))
