"""The statements of the baseline, and the register of what answers each of them.

Owns the 65 normative statements of draft-moore-iot-security-bcp-01 as data
(`statements.toml`), the register that ties each to code, tests, audit checks and
documents (`register.toml`), and the resolving of those pointers in a source tree.
Must never judge: whether a statement holds is the audit's word. Never imports
what the register points at.
"""

from ._loading import (
    find_statement,
    load_register,
    load_statements,
    parse_register,
    parse_statements,
)
from ._resolving import Location, resolve_pointer
from ._types import Bearer, Entry, Level, PointerKind, Proof, Statement
from ._verifying import Dangling, find_source_tree, verify_register

__all__ = [
    "Bearer",
    "Dangling",
    "Entry",
    "Level",
    "Location",
    "PointerKind",
    "Proof",
    "Statement",
    "find_source_tree",
    "find_statement",
    "load_register",
    "load_statements",
    "parse_register",
    "parse_statements",
    "resolve_pointer",
    "verify_register",
]
