"""The model of the disk: what an fsync promises, and what may come without one."""

from collections.abc import Iterator, Sequence

import pytest
from tests.cuts.disk import Disk, Node
from tests.cuts.operations import (
    ROOT_INODE,
    Content,
    Entries,
    Inode,
    Meta,
    Operation,
    Recording,
    Sync,
)

OLD, NEW = b"old" * 2000, b"new" * 2000
RECORD, TEMPORARY, PLACE = 1, 2, 3


def disk_after(*operations: Operation) -> Disk:
    """A root with the file `record`, and a life; inode 2 is a new file, 3 a new directory."""
    inodes = {
        ROOT_INODE: Inode(ROOT_INODE, True, 0o755, (0, 0), b"", (("record", RECORD),)),
        RECORD: Inode(RECORD, False, 0o600, (0, 0), OLD),
        TEMPORARY: Inode(TEMPORARY, False, 0o600, (0, 0)),
        PLACE: Inode(PLACE, True, 0o700, (0, 0)),
    }
    disk = Disk(Recording(inodes, operations))
    for operation in operations:
        disk.apply(operation)
    return disk


def states(disk: Disk) -> Iterator[Node]:
    """Every subset of the names, with every form of each file."""
    loose = disk.loose()
    for bits in range(1 << len(loose)):
        kept = frozenset(one for at, one in enumerate(loose) if bits >> at & 1)
        yield disk.state(kept, {})
        for inode, forms in disk.torn().items():
            for form in forms:
                yield disk.state(kept, {inode: form})


def contents(disk: Disk, name: str = "record") -> set[bytes | None]:
    return {root.entries[name].data if name in root.entries else None for root in states(disk)}


CREATE = Entries(((ROOT_INODE, "new", TEMPORARY),))
WRITE = Content(TEMPORARY, 0, NEW)
RENAME = Entries(((ROOT_INODE, "new", None), (ROOT_INODE, "record", TEMPORARY)))


def test_an_atomic_write_leaves_the_old_file_or_the_new_one_and_at_its_end_the_new_one() -> None:
    steps = (CREATE, WRITE, Sync(TEMPORARY, 2), RENAME, Sync(ROOT_INODE, 4))
    for count in range(len(steps)):
        assert contents(disk_after(*steps[:count])) <= {OLD, NEW}
    assert contents(disk_after(*steps[:4])) == {OLD, NEW}
    assert contents(disk_after(*steps)) == {NEW}


def test_without_the_fsync_of_the_file_its_new_name_may_hold_nothing_zeros_or_half() -> None:
    found = contents(disk_after(CREATE, WRITE, RENAME, Sync(ROOT_INODE, 3)))
    assert {b"", NEW, bytes(len(NEW)), NEW[:3000]} <= found
    assert OLD not in found


def test_without_the_fsync_of_the_directory_the_new_name_may_be_lost() -> None:
    assert contents(disk_after(CREATE, WRITE, Sync(TEMPORARY, 2), RENAME)) == {OLD, NEW}


def test_an_fsync_of_a_file_says_nothing_of_its_name() -> None:
    assert contents(disk_after(CREATE, WRITE, Sync(TEMPORARY, 2)), "new") == {None, NEW}


def test_a_file_in_a_directory_whose_name_is_not_durable_is_lost_with_it() -> None:
    place = Entries(((ROOT_INODE, "place", PLACE),))
    inside = Entries(((PLACE, "file", TEMPORARY),))
    steps = (place, inside, WRITE, Sync(TEMPORARY, 3), Sync(PLACE, 4))
    assert {("place" in root.entries) for root in states(disk_after(*steps))} == {True, False}
    safe = disk_after(*steps, Sync(ROOT_INODE, 5))
    assert all(root.entries["place"].entries["file"].data == NEW for root in states(safe))


def test_an_fsync_covers_only_what_had_returned_when_it_began() -> None:
    late = Content(RECORD, 0, NEW)
    assert contents(disk_after(late, Sync(RECORD, 0))) > {OLD, NEW}
    assert contents(disk_after(late, Sync(RECORD, 1))) == {NEW}


def test_later_names_may_be_there_without_earlier_ones() -> None:
    first = Entries(((ROOT_INODE, "first", TEMPORARY),))
    second = Entries(((ROOT_INODE, "second", PLACE),))
    found = {
        frozenset(root.entries) & {"first", "second"} for root in states(disk_after(first, second))
    }
    assert found == {
        frozenset(),
        frozenset({"first"}),
        frozenset({"second"}),
        frozenset({"first", "second"}),
    }


def test_an_inode_is_never_at_two_names_that_it_had_after_each_other() -> None:
    steps = (
        Entries(((ROOT_INODE, "one", PLACE),)),
        Entries(((ROOT_INODE, "one", None), (ROOT_INODE, "two", PLACE))),
        Entries(((ROOT_INODE, "two", None), (ROOT_INODE, "three", PLACE))),
    )
    for root in states(disk_after(*steps)):
        assert len({"one", "two", "three"} & set(root.entries)) <= 1


@pytest.mark.parametrize("synced", [False, True])
def test_a_mode_is_durable_with_its_file(synced: bool) -> None:
    steps: Sequence[Operation] = (Meta(RECORD, mode=0o644), *([Sync(RECORD, 1)] if synced else []))
    found = {root.entries["record"].mode for root in states(disk_after(*steps))}
    assert found == ({0o644} if synced else {0o600, 0o644})


def test_equal_states_have_equal_keys_and_different_ones_different_keys() -> None:
    keys: dict[bytes, object] = {}
    for root in states(disk_after(CREATE, WRITE, RENAME)):
        shown = {name: (node.data, node.mode) for name, node in root.entries.items()}
        assert keys.setdefault(root.key, shown) == shown
    assert len(keys) == len({repr(sorted(shown.items())) for shown in keys.values()})  # type: ignore[attr-defined]
