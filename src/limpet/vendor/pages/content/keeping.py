"""How it is kept up to date, until when, what is left, and what tested it. Pure."""

from collections.abc import Iterator
from datetime import date

from limpet.product import Product
from limpet.vendor.pages.document import (
    Block,
    Chapter,
    Entry,
    Facts,
    Mark,
    Table,
    Text,
    Tone,
    link,
    paragraph,
    text,
)
from limpet.vendor.pages.dossier import Dossier
from limpet.vendor.pages.records.evidence import Evidence, Verdict

from .design import review
from .words import Standing, duration, phrase

__all__ = ["NO_AUDIT", "TONES", "evidence_chapter", "residual_chapter", "updates_chapter"]

Row = tuple[Text, Text, Text, Text]
NO_DAY: Text = ("–",)
NO_AUDIT = "No result of an audit was published."
TONES = {
    Verdict.PASS: Tone.GOOD,
    Verdict.ATTESTED: Tone.PLAIN,
    Verdict.NOT_APPLICABLE: Tone.NOTE,
    Verdict.FAIL: Tone.WARNING,
    Verdict.COULD_NOT_DETERMINE: Tone.NOTE,
    Verdict.NOT_YET: Tone.NOTE,
}


def updates_chapter(dossier: Dossier, standing: Standing, support_file: str) -> Chapter:
    """Who decides, when, what is verified, and what happens when one fails."""
    product = dossier.product
    pairs = [*_schedule(product), *_bounds(dossier)]
    pairs.append(("How long", text(link(f"until {standing.until.isoformat()}", support_file))))
    return Chapter(
        "updates",
        "Updates",
        (
            paragraph(
                "The Update Framework (TUF), and two signatures that must agree: the release's,"
                " made offline, and the plan's, made online within the bounds that the release"
                " was signed with. A device finds its own place in the queue, verifies every"
                " piece of an image as it comes and again before it starts, goes back to no"
                " lower security counter, and remembers what was withdrawn."
            ),
            Facts(tuple(pairs)),
        ),
    )


def _schedule(product: Product) -> list[tuple[str, Text]]:
    update = product.update
    least, most = update.check_interval_min_seconds, update.check_interval_max_seconds
    automatic = (
        "by themselves, unless the owner decides otherwise"
        if update.automatic
        else "when the owner says so"
    )
    pairs = [
        ("Installed", text(automatic)),
        (
            "Looked for",
            text(
                f"about every {duration(update.check_interval_seconds)}, at irregular intervals"
                f" of {duration(least)} to {duration(most)}"
            ),
        ),
    ]
    if update.default_window is not None:
        window = update.default_window
        said = f"{window.start} to {window.end} UTC, until the owner sets another window"
        pairs.append(("When", text(said)))
    pairs += [
        ("May be held back", text(_holds(product))),
        (
            "If one fails",
            text(
                "the device goes back to the firmware before it, unless the new one proves its"
                f" health within {duration(update.health_deadline_seconds)}"
            ),
        ),
        ("Changes of the interface", text("are never installed without the owner's consent")),
    ]
    return pairs


def _holds(product: Product) -> str:
    update = product.update
    if not update.max_hold_days:
        return "no"
    held = f"by the owner, for at most {duration(update.max_hold_days * 86400)}"
    if update.max_security_hold_days is None:
        return held
    days = update.max_security_hold_days
    closing = duration(days * 86400) if days else "not at all"
    return f"{held} (a release that closes a security hole: {closing})"


def _bounds(dossier: Dossier) -> list[tuple[str, Text]]:
    """Of the newest release."""
    if not dossier.releases:
        return [("Newest release", text("none was published"))]
    newest = dossier.releases[0].release.manifest
    bounds = newest.bounds
    return [
        ("Newest release", text(f"{newest.version}, built {newest.built_at:%Y-%m-%d}")),
        (
            "Its signed bounds",
            text(
                f"not before {bounds.not_before:%Y-%m-%d}, at most"
                f" {bounds.largest_step_ppm / 10_000:g} % of all devices at a step, at least"
                f" {duration(bounds.minimum_duration_seconds)} from the first device to the last"
            ),
        ),
        ("Its security counter", text(str(newest.security_counter))),
    ]


def residual_chapter(dossier: Dossier, today: date) -> Chapter:
    """What is known to be left: acceptances, deviations, gaps, and what the audit did not see."""
    rows = (*_accepted(dossier.product, today), *_left_out(dossier.product), *_unseen(dossier))
    note = () if dossier.evidence else (paragraph(NO_AUDIT, tone=Tone.NOTE),)
    return Chapter(
        "residual",
        "What risk is left",
        (
            paragraph(
                "Everything that is known and not closed: what was accepted, by whom and until"
                " when; where the product deviates; what an audit found open or could not see."
            ),
            *note,
            Table(
                headings=("What", "Kind", "Why, or what was seen", "Review"),
                rows=rows,
                label="Residual risk",
                empty="Nothing is known to be left.",
                widths=(18, 16, 51, 15),
            ),
        ),
    )


def _accepted(product: Product, today: date) -> Iterator[Row]:
    for one in product.threats:
        if one.acceptance is not None:
            yield (
                text(link(one.id, f"#threat-{one.id}")),
                text("accepted threat"),
                text(f"{one.acceptance.reason} ({one.acceptance.owner})"),
                review(one.acceptance.review_by, today),
            )


def _left_out(product: Product) -> Iterator[Row]:
    for one in product.decisions.deviations:
        yield text(one.statement), text("deviation"), text(one.choice, " ", one.rationale), NO_DAY
    for gap in product.confinement_gaps:
        name = text(phrase(gap.mechanism.value))
        yield name, text("confinement left out"), text(gap.rationale), NO_DAY


def _unseen(dossier: Dossier) -> Iterator[Row]:
    for one in dossier.evidence.open_ends if dossier.evidence else ():
        kind = text(f"audit: {one.verdict.value}")
        yield text(one.statement), kind, text(one.evidence), NO_DAY


def evidence_chapter(dossier: Dossier, audit_file: str) -> Chapter:
    """How many statements hold, and where the whole list is."""
    blocks: tuple[Block, ...] = (paragraph(NO_AUDIT),)
    if dossier.evidence is not None:
        blocks = (
            paragraph(
                "An audit attacked a running device of this product on"
                f" {dossier.evidence.started:%Y-%m-%d} and looked at its vendor's service and"
                " documents, statement by statement. ",
                link("The whole result", audit_file),
            ),
            totals(dossier.evidence),
        )
    checked = {check for one in dossier.product.measures for check in one.checks}
    named = Entry(
        "attacks",
        "What attacks the measures",
        (
            paragraph(
                f"The measures name {len(checked)} statements whose checks attack them. A measure"
                " without one is refused when the design is checked."
            ),
        ),
    )
    return Chapter("evidence", "What tested it", (*blocks, named))


def totals(evidence: Evidence) -> Facts:
    """How many statements have each verdict."""
    return Facts(
        tuple(
            (verdict.value, (Mark(str(count), TONES[verdict]),))
            for verdict, count in evidence.totals.items()
            if count
        )
    )
