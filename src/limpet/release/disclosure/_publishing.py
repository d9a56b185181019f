"""From a product's draft to the vendor's public list.

Owns the revisions: the first publication is revision 1, a changed document the next one, the same
document none. The product's own file is brought to the new revision first; a publication that was
cut off there goes on with that revision.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from limpet.errors import Rejected, Unavailable
from limpet.release.gate._past import ADVISORIES
from limpet.storage import make_directory, write_atomic

from ._csaf import Advisory, Revision, encode_advisory, file_name, load_advisory
from ._distribution import Distribution
from ._mandatory import verify_advisory

__all__ = ["Published", "advisory_file", "decide_revision", "publish_advisory", "save_draft"]

FIRST = "Initial version"
MODE = 0o644


@dataclass(frozen=True, slots=True)
class Published:
    """What came of it."""

    advisory: Advisory
    path: str  # below `public/advisories`
    is_new: bool  # a revision that was not published before


def advisory_file(product: Path, advisory_id: str) -> Path:
    """Where a product keeps it: the gate's rule `advisories-tested` reads it there."""
    return product / ADVISORIES / file_name(advisory_id)


def save_draft(product: Path, draft: Advisory, *, replace: bool = False) -> Path:
    """Write a new draft beside the product. Raises `Rejected("exists")`.

    `replace` takes the place of an earlier draft or edition, whose history it then continues.
    """
    verify_advisory(draft, draft.document.tracking.id)
    file = advisory_file(product, draft.document.tracking.id)
    if file.exists():
        if not replace:
            hint = "edit it, or say --replace; then publish it with --revision TEXT"
            raise Rejected("exists", f"{file} is there already", hint=hint)
        draft = _with_tracking_of(load_advisory(file), draft)
    make_directory(file.parent, mode=0o755)
    write_atomic(file, encode_advisory(draft), mode=MODE)
    return file


def _with_tracking_of(old: Advisory, new: Advisory) -> Advisory:
    document = msgspec.structs.replace(new.document, tracking=old.document.tracking)
    return msgspec.structs.replace(new, document=document)


def decide_revision(
    written: Advisory, published: Advisory | None, *, summary: str, now: datetime
) -> Advisory:
    """The document to publish: `written` in its next revision, or as it is. Pure.

    Raises `Rejected("no-summary")` where a revision needs a word on what changed, and
    `Rejected("clock")` where now is before the last revision.
    """
    tracking = written.document.tracking
    if published is None:
        if tracking.status == "final" and tracking.version == "1":
            return written  # cut off after the product's file was written
        return _revise(written, (), 1, summary or FIRST, now)
    last = published.document.tracking
    if tracking.status == "final" and int(tracking.version) == int(last.version) + 1:
        return written
    if _with_tracking_of(published, written) == published:
        return published
    if not summary:
        message = f"{tracking.id} differs from revision {last.version}, which is published"
        raise Rejected("no-summary", message, hint="say what changed: --revision TEXT")
    if now < last.current_release_date:
        message = f"revision {last.version} is of {last.current_release_date:%Y-%m-%d %H:%M} UTC"
        raise Rejected("clock", f"{message}, which is in the future", hint="set the clock")
    number = int(last.version) + 1
    return _revise(
        _with_tracking_of(published, written), last.revision_history, number, summary, now
    )


def _revise(
    advisory: Advisory, history: tuple[Revision, ...], number: int, summary: str, now: datetime
) -> Advisory:
    tracking = advisory.document.tracking
    entry = Revision(date=now, number=str(number), summary=summary)
    revised = msgspec.structs.replace(
        tracking,
        status="final",
        version=str(number),
        initial_release_date=history[0].date if history else now,
        current_release_date=now,
        revision_history=(*history, entry),
    )
    document = msgspec.structs.replace(advisory.document, tracking=revised)
    return msgspec.structs.replace(advisory, document=document)


def publish_advisory(
    product: Path, advisory_id: str, distribution: Distribution, *, summary: str, now: datetime
) -> Published:
    """Verify the product's advisory, give it its revision, put it into the public list.

    Raises `Unavailable` if there is none, `Rejected` with what is wrong; then nothing is published.
    """
    file = advisory_file(product, advisory_id)
    if not file.is_file():
        hint = f"make one: limpet advisory new {product} --id {advisory_id} …"
        raise Unavailable(f"there is no advisory {file}", hint=hint)
    written = load_advisory(file)
    if written.document.tracking.id != advisory_id:
        found = written.document.tracking.id
        raise Rejected("wrong-id", f"{file} is the advisory {found}, not {advisory_id}")
    published = distribution.find(advisory_id)
    revised = decide_revision(written, published, summary=summary, now=now)
    verify_advisory(revised, file.name)
    signature = distribution.sign(revised)
    if revised != written:
        write_atomic(file, encode_advisory(revised), mode=MODE)
        distribution.after_write(file.name)
    path = distribution.place(revised, now=now, signature=signature)
    return Published(revised, path, revised != published)
