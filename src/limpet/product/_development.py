"""What `[development]` of a design file says: how the product is developed, and packed.

Owns the shape only; the gate before a release holds a product to it.
"""

from enum import StrEnum

from ._part import Part
from ._words import PackageType, RaucSlotClass, RaucText, RelativePath, Url

__all__ = ["Development", "RaucBundles", "RaucPurpose"]


class RaucPurpose(StrEnum):
    """What a certificate must be for to sign a bundle: RAUC's `check-purpose`."""

    MAIL = "smimesign"  # RAUC's own default
    CODE = "codesign"


class RaucBundles(Part, frozen=True):
    """What the devices' RAUC takes, as its `system.conf` says: the gate holds bundles to it.

    `keyring` is a file of the product's directory, with the certificates (PEM) that it believes.
    """

    compatible: RaucText
    keyring: RelativePath
    slot: RaucSlotClass = "rootfs"
    purpose: RaucPurpose = RaucPurpose.MAIL


class Development(Part, frozen=True):
    """How the product is developed, as the gate before a release holds it to (draft-moore, 4).

    `allowed_signers` (ssh-keygen(1)) is a file of the product's directory, whose keys sign its
    commits if `signed_commits`. A component is of one of `component_sources`, or is not shipped.
    """

    issue_tracker: Url
    source: Url | None = None
    component_sources: tuple[PackageType, ...] = ()
    signed_commits: bool = False
    allowed_signers: RelativePath | None = None
    rauc: RaucBundles | None = None
