"""The shapes of a statement and of its entry in the register.

Owns the words that the data files may use. Never reads a file.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

StatementId = Annotated[str, msgspec.Meta(pattern=r"^R[1-9][0-9]*(\.[1-9][0-9]*)*[a-z]?$")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
PointerList = Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=100)]


class Level(StrEnum):
    """How binding a statement is: an RFC 2119 key word, or a design goal without one."""

    MUST = "MUST"
    MUST_NOT = "MUST NOT"
    SHOULD = "SHOULD"
    SHOULD_NOT = "SHOULD NOT"
    MAY = "MAY"
    GOAL = "should"


class Bearer(StrEnum):
    """Who has to fulfil a statement."""

    DEVICE = "device"
    VENDOR = "vendor"


class Proof(StrEnum):
    """How a statement is shown to hold."""

    NETWORK = "network"  # an audit check over the network alone
    HOST = "host"  # a check that runs on the device
    SERVICE = "service"  # a check of the vendor's services and repository
    DOSSIER = "dossier"  # a check of the design file, the release record, documents


class PointerKind(StrEnum):
    """What a pointer of the register points at; the value is the register's key."""

    CODE = "code"
    TESTS = "tests"
    AUDIT = "audit"
    DOCUMENTS = "documents"


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One normative statement of the draft, in our own words."""

    id: StatementId
    section: Text
    title: Text
    level: Level
    bearer: tuple[Bearer, ...]
    asks: Text
    proven: tuple[Proof, ...]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What answers one statement; None is an honest "not yet"."""

    code: PointerList | None = None
    tests: PointerList | None = None
    audit: PointerList | None = None
    documents: PointerList | None = None

    def pointers(self, kind: PointerKind) -> tuple[str, ...]:
        """The pointers of one kind, in the register's order; empty means not yet."""
        lists = {
            PointerKind.CODE: self.code,
            PointerKind.TESTS: self.tests,
            PointerKind.AUDIT: self.audit,
            PointerKind.DOCUMENTS: self.documents,
        }
        return lists[kind] or ()
