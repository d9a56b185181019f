"""The release manager's tools: build, sign, hand over. They work on files, offline.

Owns how a firmware tree is put together, its manifest, and the next metadata of
the offline role `releases/<model>`. Never holds an online key, and publishes only
by handing files to the vendor's repository, which verifies them again.
"""

from ._build import BuildOrder, Built, build_release, load_built, load_manifest
from ._delta import OldRelease
from ._forms import Form
from ._interface import compare_releases
from ._olds import LAST, add_deltas, load_olds
from ._publish import publish
from ._signing import (
    Revocation,
    Signed,
    SigningOrder,
    default_keys,
    sign_release,
    sign_revocation,
    sign_support,
)
from ._tree import assemble_tree

__all__ = [
    "LAST",
    "BuildOrder",
    "Built",
    "Form",
    "OldRelease",
    "Revocation",
    "Signed",
    "SigningOrder",
    "add_deltas",
    "assemble_tree",
    "build_release",
    "compare_releases",
    "default_keys",
    "load_built",
    "load_manifest",
    "load_olds",
    "publish",
    "sign_release",
    "sign_revocation",
    "sign_support",
]
