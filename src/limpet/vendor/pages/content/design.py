"""The design file as chapters: ways in and out, secrets, threats, measures, decisions.

Pure. Every id is an anchor, and every mention of one leads to it.
"""

from collections.abc import Iterable
from datetime import date

from limpet.product import Decision, Interface, Product
from limpet.vendor.pages.document import (
    Block,
    Chapter,
    Code,
    Entry,
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

from .words import phrase

__all__ = [
    "credentials_chapter",
    "decisions_chapter",
    "interfaces_chapter",
    "measures_chapter",
    "threats_chapter",
]

STANDARD = "Best Current Practices for Securing Internet of Things Devices"


def interfaces_chapter(product: Product) -> Chapter:
    """Every way in and out: a table to see them together, then each in full."""
    hosts = product.vendor.hosts
    rows = tuple(
        (
            text(link(one.id, f"#interface-{one.id}")),
            text("in" if one.direction.value == "in" else "out"),
            text(one.protocol),
            text(f"{one.transport.value.upper()} {one.port}" if one.port else "–"),
            text(_authentication(one)),
        )
        for one in product.interfaces
    )
    called = "host" if len(hosts) == 1 else "hosts"
    return Chapter(
        "interfaces",
        "Ways in and out",
        (
            paragraph(
                f"These {len(product.interfaces)} are all that there are. The only {called} that"
                f" the device calls by name: {', '.join(hosts) or 'none'}."
            ),
            Table(
                headings=("Interface", "Begun from", "Protocol", "Port", "Authentication"),
                rows=rows,
                label="Interfaces",
                widths=(20, 12, 30, 13, 25),
            ),
            *(_interface(one, product) for one in product.interfaces),
        ),
    )


def _interface(one: Interface, product: Product) -> Entry:
    port = f", {one.transport.value.upper()} port {one.port}" if one.port is not None else ""
    pairs: list[tuple[str, Text]] = [
        ("Who begins", text("the other side" if one.direction.value == "in" else "the device")),
        ("Protocol", text(f"{one.protocol}{port}")),
    ]
    if one.hosts or one.peers:
        pairs.append(("Other side", text(", ".join((*one.hosts, *one.peers)))))
    because = f": {one.unauthenticated_because}" if one.unauthenticated_because else ""
    pairs.append(("Authentication", text(f"{_authentication(one)}{because}")))
    threats = [each.id for each in product.threats if one.id in each.interfaces]
    pairs.append(("Threats", _links("threat", threats)))
    return Entry(f"interface-{one.id}", one.id, (paragraph(one.description), Facts(tuple(pairs))))


def _authentication(one: Interface) -> str:
    return ", ".join(phrase(each.value) for each in one.authentication) or "none"


def credentials_chapter(product: Product) -> Chapter:
    """Where each secret comes from, and how hard it is to guess."""
    entries = []
    for one in product.credentials:
        strength = (
            f"{one.entropy_bits} bits of entropy"
            if one.entropy_bits is not None
            else f"at least {one.minimum_length} characters"
        )
        origin = f"{phrase(one.origin.value)}, {phrase(one.uniqueness.value)}"
        pairs = [
            ("Origin", text(origin)),
            ("Strength", text(strength)),
            ("Used at", _links("interface", one.interfaces)),
        ]
        if one.measures:
            pairs.append(("Against guessing", _links("measure", one.measures)))
        blocks = (paragraph(one.description), Facts(tuple(pairs)))
        entries.append(Entry(f"credential-{one.id}", one.id, blocks))
    return Chapter("credentials", "Secrets", tuple(entries) or (paragraph("There are none."),))


def threats_chapter(product: Product, today: date) -> Chapter:
    """Every threat with its measures, or with who accepts it, why and until when."""
    accepted = sum(one.acceptance is not None for one in product.threats)
    entries = []
    for one in product.threats:
        pairs = [("Through", _links("interface", one.interfaces))]
        if one.measures:
            pairs.append(("Measures", _links("measure", one.measures)))
        if one.acceptance is not None:
            pairs += [
                ("Accepted", text(f"by the {one.acceptance.owner}: {one.acceptance.reason}")),
                ("Next review", review(one.acceptance.review_by, today)),
            ]
        entries.append(
            Entry(
                f"threat-{one.id}",
                one.id,
                (paragraph(one.description), Facts(tuple(pairs))),
                accepted=one.acceptance is not None,
            )
        )
    opening = (
        f"{len(product.threats)} were considered; {accepted} of them are accepted, by whom, why"
        " and until which review."
    )
    return Chapter("threats", "Threats", (paragraph(opening), *entries))


def review(day: date, today: date) -> Text:
    """The day of a review, and that it has passed."""
    overdue: tuple[Run, ...] = (" ", Mark("overdue", Tone.WARNING)) if day < today else ()
    return text(f"by {day.isoformat()}", *overdue)


def measures_chapter(product: Product) -> Chapter:
    """What is done, where in the code, and what attacks it."""
    entries = []
    for one in product.measures:
        met = [each.id for each in product.threats if one.id in each.measures]
        pairs = (
            ("Against", _links("threat", met) if met else text("see the secrets")),
            ("Statements", text(", ".join(one.statements))),
            ("Code", join([Code(pointer) for pointer in one.code])),
            ("Attacked by", text(", ".join(one.checks))),
        )
        blocks = (paragraph(one.description), Facts(pairs))
        entries.append(Entry(f"measure-{one.id}", one.id, blocks))
    opening = (
        f"Each names the statements of {STANDARD} (draft-moore-iot-security-bcp-01) that it"
        " serves, where it stands in the code, and the statements whose audit attacks it on a"
        " running device."
    )
    return Chapter("measures", "Measures", (paragraph(opening), *entries))


def decisions_chapter(product: Product) -> Chapter:
    """What was weighed, and what deviates from the standard."""
    made = product.decisions
    blocks: list[Block] = [
        Entry("decision-memory", "Memory protection", _because(made.memory_protection)),
        Entry("decision-floods", "Floods of requests", _because(made.flood_handling)),
        Entry("decision-physical", "Physical attack", _because(made.physical_attack)),
    ]
    blocks += [
        Entry(
            f"deviation-{number}",
            one.statement,
            (paragraph(one.choice), *_reason(one.rationale)),
            accepted=True,
        )
        for number, one in enumerate(made.deviations, start=1)
    ]
    deviations = len(made.deviations)
    said = (
        f"The last {deviations} deviate from the standard."
        if deviations
        else "Nothing deviates from the standard by decision."
    )
    return Chapter("decisions", "Decisions", (paragraph(said), *blocks))


def _because(one: Decision) -> tuple[Paragraph, ...]:
    return (paragraph(one.choice), *_reason(one.rationale))


def _reason(rationale: str) -> tuple[Paragraph, ...]:
    return (paragraph(Mark("Because:", Tone.NOTE), f" {rationale}"),)


def _links(kind: str, ids: Iterable[str]) -> Text:
    return join([link(one, f"#{kind}-{one}") for one in ids])
