"""All products side by side, in the same terms at every vendor (draft-moore, 5.4).

Owns the terms and their three forms: a table, JSON and CSV. A term is never renamed: programs
compare vendors by it. What is not known is said to be not known, and is no zero.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from limpet.product import Direction, Origin, Product, Transport, Uniqueness
from limpet.wire.codec import encode_json

from .content.words import decide_standing, duration, phrase
from .document import Chapter, Document, Run, Table, Tone, link, paragraph, text
from .dossier import Dossier
from .places import Place
from .records.evidence import Verdict

__all__ = ["SPEC", "compare", "comparison_page", "render_csv", "render_json"]

SPEC = "limpet-comparison-1"
UNKNOWN = "not published"
SUITE, POST_QUANTUM = "Suite of algorithms", "Firmware signed with a post-quantum algorithm too"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run

Value = str | int | bool | None | list[str]


@dataclass(frozen=True, slots=True)
class Term:
    """One line: its name for programs, its words for people, and a value for each product."""

    key: str
    words: str
    values: tuple[Value, ...]


def compare(dossiers: Sequence[Dossier], now: datetime) -> tuple[Term, ...]:
    """Every term, with the products' values in their order."""
    columns = [_facts(one, now) for one in dossiers]
    return tuple(
        Term(key, words, tuple(column[number][2] for column in columns))
        for number, (key, words, _) in enumerate(columns[0])
    )


def _facts(one: Dossier, now: datetime) -> list[tuple[str, str, Value]]:
    product, standing = one.product, decide_standing(one, now)
    contact = product.security_contact
    return [
        ("maker", "Maker", product.maker.name),
        ("model", "Model", product.model.name),
        ("name", "Name", product.model.display_name),
        ("hardware_revisions", "Hardware revisions", list(product.model.hardware_revisions)),
        ("support_until", "Security updates until", standing.until.isoformat()),
        ("support_over", "Support is over", standing.over),
        ("support_signed", "Devices verify that date", standing.signed),
        ("after_support", "After support", standing.after),
        *_updates(one),
        *_surface(product),
        *_authentication(product),
        *_design(product),
        *_cryptography(one),
        *_audit(one),
        *_records(one),
        ("report_bugs_to", "Report bugs to", list(contact.contacts)),
        ("security_policy", "Policy", contact.policy_url),
    ]


def _updates(one: Dossier) -> list[tuple[str, str, Value]]:
    update = one.product.update
    needed = {role.name.partition("/")[0]: role for role in one.roles}
    signatures: Value = None
    if "releases" in needed and "rollout" in needed:
        signatures = (
            f"{needed['releases'].threshold} offline and {needed['rollout'].threshold} online"
        )
    return [
        ("update_mechanism", "Update mechanism", "TUF, two slots, falls back by itself"),
        ("update_signatures", "Signatures that an update needs", signatures),
        ("updates_automatic", "Installed by themselves", update.automatic),
        ("update_check", "Looked for about every", duration(update.check_interval_seconds)),
        ("update_hold_days", "An owner may hold back, days", update.max_hold_days),
    ]


def _surface(product: Product) -> list[tuple[str, str, Value]]:
    ports = [
        f"{one.transport.value.upper()} {one.port}"
        for one in product.interfaces
        if one.direction is Direction.IN and one.transport is not Transport.PHYSICAL
    ]
    needs_cloud: Value = list(product.vendor.hosts)
    return [
        ("open_ports", "Ports that it opens", ports),
        ("hosts_called", "Hosts that it calls", needs_cloud),
    ]


def _authentication(product: Product) -> list[tuple[str, str, Value]]:
    methods = dict.fromkeys(
        phrase(method.value)
        for one in product.interfaces
        if one.direction is Direction.IN
        for method in one.authentication
    )
    lengths = [
        one.minimum_length
        for one in product.credentials
        if one.origin is Origin.CHOSEN_BY_OWNER and one.minimum_length
    ]
    shared = [one.id for one in product.credentials if one.uniqueness is Uniqueness.SHARED]
    return [
        ("authentication", "Who may come in by", list(methods)),
        ("password_length", "Shortest password", min(lengths) if lengths else None),
        ("shared_credentials", "Credentials that several devices share", shared),
    ]


def _design(product: Product) -> list[tuple[str, str, Value]]:
    accepted = sum(one.acceptance is not None for one in product.threats)
    return [
        ("threats", "Threats considered", len(product.threats)),
        ("threats_accepted", "of them accepted", accepted),
        (
            "deviations",
            "Deviations from the standard",
            [one.statement for one in product.decisions.deviations],
        ),
        (
            "confinement_left_out",
            "Confinement left out",
            [one.mechanism.value for one in product.confinement_gaps],
        ),
    ]


def _cryptography(one: Dossier) -> list[tuple[str, str, Value]]:
    if one.suite is None:
        return [
            ("crypto_suite", SUITE, None),
            ("post_quantum", POST_QUANTUM, None),
        ]
    offline = [scheme for family in one.suite.firmware.offline for scheme in family]
    return [
        ("crypto_suite", SUITE, str(one.suite.id)),
        (
            "post_quantum",
            POST_QUANTUM,
            any(scheme.startswith("ml-dsa") for scheme in offline),
        ),
    ]


def _audit(one: Dossier) -> list[tuple[str, str, Value]]:
    evidence = one.evidence
    counts = evidence.totals if evidence else {}
    words = {
        Verdict.PASS: "statements passed",
        Verdict.ATTESTED: "attested only",
        Verdict.NOT_APPLICABLE: "not applicable",
        Verdict.FAIL: "failed",
        Verdict.COULD_NOT_DETERMINE: "could not be determined",
        Verdict.NOT_YET: "not yet built or checked",
    }
    audited: Value = evidence.started.astimezone(UTC).date().isoformat() if evidence else None
    return [
        ("audited", "Audited on", audited),
        *(
            (
                f"audit_{verdict.name.lower()}",
                f"Audit: {said}",
                counts[verdict] if evidence else None,
            )
            for verdict, said in words.items()
        ),
    ]


def _records(one: Dossier) -> list[tuple[str, str, Value]]:
    newest = one.releases[0] if one.releases else None
    built: Value = f"{newest.release.manifest.built_at:%Y-%m-%d}" if newest else None
    gate: Value = newest.gate.verdict if newest and newest.gate else None
    return [
        ("newest_release", "Newest release", newest.version if newest else None),
        ("newest_built", "built on", built),
        ("gate", "Gate's verdict on it", gate),
        ("components", "Components", len(one.bill.parts) if one.bill else None),
        ("advisories", "Security advisories published", len(one.advisories)),
    ]


def render_json(terms: Sequence[Term], now: datetime) -> bytes:
    """`{"spec", "made_on", "products": [{term: value}]}`; null stands for what is not known."""
    count = len(terms[0].values)
    products = [{term.key: term.values[number] for term in terms} for number in range(count)]
    document: dict[str, Any] = {
        "spec": SPEC,
        "made_on": now.astimezone(UTC).date().isoformat(),
        "products": products,
    }
    return encode_json(document)


def render_csv(terms: Sequence[Term]) -> bytes:
    """One line a product (RFC 4180). What a spreadsheet would run begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([term.key for term in terms])
    for number in range(len(terms[0].values)):
        writer.writerow([_cell(term.values[number]) for term in terms])
    return out.getvalue().encode()


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    words = "; ".join(value) if isinstance(value, list) else str(value)
    return f"'{words}" if words.startswith(_FORMULAS) else words


def comparison_page(
    terms: Sequence[Term], places: Sequence[Place], dossiers: Sequence[Dossier]
) -> Document:
    """The sheet: a line a term, a column a product."""
    names = [place.name for place in places]
    rows = [(text(term.words), *(text(_shown(value)) for value in term.values)) for term in terms]
    maker = dossiers[0].product.maker.name
    more: list[Run] = []
    for place in places:
        more += [", " if more else "", link(place.name, place.security)]
    return Document(
        title=f"Products of {maker}, compared",
        opening=(
            paragraph(
                "In terms that every vendor of this platform states the same way, so that"
                " products of different vendors can be laid beside each other: ",
                link("JSON", "compare.json"),
                ", ",
                link("CSV", "compare.csv"),
                ".",
                tone=Tone.LEAD,
            ),
        ),
        chapters=(
            Chapter(
                "comparison",
                "Side by side",
                (
                    Table(
                        headings=("", *names),
                        rows=tuple(rows),
                        label="Comparison of products",
                    ),
                    paragraph("Why it is so, product by product: ", *more, "."),
                ),
            ),
        ),
    )


def _shown(value: Value) -> Run:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(one.removeprefix("mailto:") for one in value) or "none"
    return str(value)
