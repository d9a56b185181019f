"""The release manager's tools: build, sign, hand over. They work on files, offline.

Owns how a firmware tree is put together, its manifest, and the next metadata of
the offline role `releases/<model>`. Never holds an online key, and publishes only
by handing files to the vendor's repository, which verifies them again.
"""

from ._anchors import verify_anchors
from ._build import METADATA_FILE, BuildOrder, Built, build_release, load_built, load_manifest
from ._committed import find_committed
from ._delta import OldRelease
from ._forms import Form
from ._interface import compare_releases
from ._keys import fingerprint, load_public_key, make_key, open_signer, public_pem, roles_naming
from ._olds import LAST, add_deltas, load_olds
from ._publish import publish
from ._signing import (
    Draft,
    Revocation,
    Signed,
    SigningOrder,
    default_keys,
    draft_release,
    draft_revocation,
    draft_support,
    sign_release,
    sign_revocation,
    sign_support,
)
from ._tree import assemble_tree

__all__ = [
    "LAST",
    "METADATA_FILE",
    "BuildOrder",
    "Built",
    "Draft",
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
    "draft_release",
    "draft_revocation",
    "draft_support",
    "find_committed",
    "fingerprint",
    "load_built",
    "load_manifest",
    "load_olds",
    "load_public_key",
    "make_key",
    "open_signer",
    "public_pem",
    "publish",
    "roles_naming",
    "sign_release",
    "sign_revocation",
    "sign_support",
    "verify_anchors",
]
