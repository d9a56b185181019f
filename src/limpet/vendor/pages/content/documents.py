"""The pages of a model, each as one document. Pure: the dossier, the day, and where pages lie."""

from datetime import datetime

from limpet.vendor.pages.document import (
    Block,
    Chapter,
    Code,
    Document,
    Facts,
    Mark,
    Paragraph,
    Run,
    Table,
    Text,
    Tone,
    join,
    link,
    paragraph,
    text,
)
from limpet.vendor.pages.dossier import Dossier
from limpet.vendor.pages.places import COMPARISON, Place

from .custody import cryptography_chapter, custody_chapter
from .design import (
    credentials_chapter,
    decisions_chapter,
    interfaces_chapter,
    measures_chapter,
    threats_chapter,
)
from .keeping import (
    NO_AUDIT,
    TONES,
    evidence_chapter,
    residual_chapter,
    totals,
    updates_chapter,
)
from .processes import architecture_chapter, processes_chapter
from .words import decide_standing

__all__ = ["audit_page", "overview_page", "security_document", "support_page"]


def overview_page(
    dossier: Dossier, place: Place, others: tuple[Place, ...], now: datetime
) -> Document:
    """What is printed on the label, and where everything else is."""
    product = dossier.product
    model = product.model
    facts = Facts(
        (
            ("Maker", text(product.maker.name)),
            ("Model", text(model.name)),
            ("Hardware revisions", text(", ".join(model.hardware_revisions))),
            ("Security updates", text(link(_until(dossier, now), place.page("support")))),
            ("Newest firmware", _newest(dossier, place)),
            ("Audit", _audited(dossier, place)),
            ("Made of", _made_of(dossier, place)),
            ("Advisories", _advised(dossier, place)),
        )
    )
    chapters = [
        Chapter(
            "security",
            "Security",
            (
                paragraph(
                    "Found a weakness? ",
                    link("Tell us", place.security),
                    ". It costs nothing and needs no account.",
                ),
                paragraph(
                    "How it is made secure, for whoever wants to judge it: ",
                    link("the security document", place.security),
                    ", and ",
                    link("the same as PDF", place.paper),
                    ". Beside other products: ",
                    link("the comparison", COMPARISON),
                    ".",
                ),
            ),
        )
    ]
    if others:
        runs = join([link(other.name, other.overview) for other in others])
        chapters.append(Chapter("others", "Our other products", (paragraph(*runs),)))
    opening: tuple[Block, ...] = (facts,)
    if model.description:
        opening = (paragraph(model.description, tone=Tone.LEAD), facts)
    opening = (*opening, *told_faults(dossier))
    return Document(title=model.display_name, opening=opening, chapters=tuple(chapters))


def _until(dossier: Dossier, now: datetime) -> str:
    standing = decide_standing(dossier, now)
    return ("ended on " if standing.over else "until ") + standing.until.isoformat()


def _newest(dossier: Dossier, place: Place) -> Text:
    if not dossier.releases:
        return text("none was published")
    newest = dossier.releases[0].release.manifest
    return text(link(newest.version, place.page("releases")), f", built {newest.built_at:%Y-%m-%d}")


def _audited(dossier: Dossier, place: Place) -> Text:
    if dossier.evidence is None:
        return text("no result was published")
    counts = dossier.evidence.totals
    said = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    return text(link(said, place.page("audit")), f", on {dossier.evidence.started:%Y-%m-%d}")


def _made_of(dossier: Dossier, place: Place) -> Text:
    if dossier.bill is None:
        return text("no bill of materials was published")
    return text(link(f"{len(dossier.bill.parts)} components", place.page("components")))


def _advised(dossier: Dossier, place: Place) -> Text:
    count = len(dossier.advisories)
    if not count:
        return text("none was published")
    return text(link(f"{count} published", place.page("advisories")))


def support_page(dossier: Dossier, now: datetime) -> Document:
    """The commitment with its date, and what follows it (draft-moore, 5.1)."""
    standing = decide_standing(dossier, now)
    day = standing.until.isoformat()
    if standing.over:
        opening: tuple[Run, ...] = (
            Mark(f"The support period ended on {day}.", Tone.WARNING),
            " This product gets no more security updates.",
        )
    else:
        opening = (
            Mark(f"Security updates until {day}", Tone.GOOD),
            ", free of charge, installed by themselves unless you decide otherwise.",
        )
    after: tuple[Block, ...] = (paragraph(standing.after),)
    if standing.signed:
        said = "Devices of this model check the signature of this date by themselves."
        after = (*after, paragraph(said, tone=Tone.NOTE))
    return Document(
        title=f"Support of {dossier.product.model.display_name}",
        opening=(
            paragraph(*opening, tone=Tone.WARNING if standing.over else Tone.LEAD),
            paragraph(standing.text),
        ),
        chapters=(Chapter("after", "What comes after", after),),
    )


def security_document(
    dossier: Dossier,
    place: Place,
    now: datetime,
    *,
    reachable: bool,
    machine_readable: bool,
    signed: bool = False,
) -> Document:
    """How to report a bug first, and then all that an expert needs to judge the product.

    `reachable`: the contact has not expired; `machine_readable`: there is a `security.txt`, and
    `signed` says how.
    """
    product, today = dossier.product, now.date()
    return Document(
        title=f"Security of {product.model.display_name}",
        opening=_opening(dossier, place, now),
        chapters=(
            _contact_chapter(dossier, reachable, machine_readable, signed),
            architecture_chapter(dossier),
            interfaces_chapter(product),
            processes_chapter(dossier),
            custody_chapter(dossier),
            cryptography_chapter(dossier),
            credentials_chapter(product),
            threats_chapter(product, today),
            measures_chapter(product),
            decisions_chapter(product),
            updates_chapter(dossier, decide_standing(dossier, now), place.page("support")),
            evidence_chapter(dossier, place.page("audit")),
            residual_chapter(dossier, today),
        ),
        contents=True,
    )


def _opening(dossier: Dossier, place: Place, now: datetime) -> tuple[Block, ...]:
    return (
        paragraph(
            "What can reach the device, what threatens it, what is done about it, and what is left."
            " Made from the design file that the device itself carries, from the record of its"
            " processes and from the repository that it updates from.",
            tone=Tone.LEAD,
        ),
        Facts(
            (
                ("Firmware", _newest(dossier, place)),
                ("Audit", _audited(dossier, place)),
                ("Security updates", text(link(_until(dossier, now), place.page("support")))),
            )
        ),
        Paragraph(text(link("The same as PDF", place.paper)), screen_only=True),
    )


def _contact_chapter(
    dossier: Dossier, reachable: bool, machine_readable: bool, signed: bool
) -> Chapter:
    product = dossier.product
    contact = product.security_contact
    pairs: list[tuple[str, Text]] = [
        ("Write to", join([link(one.removeprefix("mailto:"), one) for one in contact.contacts])),
        ("We read", text(", ".join(contact.languages))),
        ("What we do with it", text(link("our policy", contact.policy_url))),
        ("Addresses reviewed by", text(contact.expires.isoformat())),
    ]
    if machine_readable:
        by = " (RFC 9116), signed with OpenPGP" if signed else " (RFC 9116)"
        pairs.append(("For programs", text(link("security.txt", ".well-known/security.txt"), by)))
    blocks: list[Block] = [
        paragraph(
            f"Write to us about any weakness of {product.model.display_name}, whoever you are. It"
            " is free of charge, and no account or agreement is needed."
        ),
        Facts(tuple(pairs)),
    ]
    if not reachable:
        said = (
            f"These addresses were due for review on {contact.expires.isoformat()}; they may be"
            " out of date."
        )
        blocks.append(paragraph(said, tone=Tone.WARNING))
    return Chapter("report", "Report a security bug", tuple(blocks))


def audit_page(dossier: Dossier, place: Place) -> Document:
    """Statement by statement: the verdict, the evidence, the day."""
    title = f"Audit of {dossier.product.model.display_name}"
    evidence = dossier.evidence
    if evidence is None:
        said = f"{NO_AUDIT} Anybody who has a device can make one: limpet audit."
        return Document(title=title, opening=(paragraph(said),))
    opening = (
        paragraph(
            f"On {evidence.started:%Y-%m-%d} limpet audit attacked {evidence.target} and judged"
            f" {len(evidence.entries)} statements. Passed means that it was looked at and holds;"
            " attested, that a document says so. ",
            link("The same for programs", place.data("audit")),
            tone=Tone.LEAD,
        ),
        totals(evidence),
    )
    rows = tuple(
        (
            text(Code(one.statement)),
            text(Mark(one.verdict.value, TONES[one.verdict])),
            text(f"{one.level}: {one.asks}"),
            text(one.evidence),
        )
        for one in evidence.entries
    )
    table = Table(
        headings=("Statement", "Verdict", "What it asks", "What was seen"),
        rows=rows,
        label="Audit, statement by statement",
        anchors=tuple(f"statement-{one.statement}" for one in evidence.entries),
    )
    return Document(
        title=title,
        opening=opening,
        chapters=(Chapter("statements", "Statement by statement", (table,)),),
    )


def told_faults(dossier: Dossier) -> tuple[Block, ...]:
    """What is there but could not be read, for whoever reads the page."""
    if not dossier.faults:
        return ()
    said = f"Not shown, because it cannot be read: {'; '.join(dossier.faults)}"
    return (paragraph(said, tone=Tone.WARNING),)
