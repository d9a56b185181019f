"""What the product's documents say: judgements over the design file, pages and records.

Pure. Where the statement asks for the document itself, a good document is a pass;
where it asks for a practice that the document only describes, it is `attested`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from limpet.audit.finding import (
    Finding,
    attested,
    failed,
    not_applicable,
    passed,
    undetermined,
)
from limpet.audit.instruments.dossier import Design, History, Lock
from limpet.audit.instruments.http import Answer
from limpet.errors import Rejected
from limpet.product import Product, Severity, list_flows
from limpet.product.mud import verify_mud
from limpet.wire.support import SupportStatement

__all__ = [
    "judge_contact",
    "judge_history",
    "judge_identity",
    "judge_inbound",
    "judge_label",
    "judge_locks",
    "judge_measures",
    "judge_published_policy",
    "judge_support",
    "judge_support_page",
    "judge_tests",
    "judge_threats",
]

_AFTERWARDS = re.compile(r"\b(after|afterwards|keeps?|stops?|continues?|no more)\b", re.I)
LEAST_THREATS = 5  # fewer is no analysis of a networked device


def judge_threats(design: Design) -> Finding:
    """Pass if specific threats are listed, at least one for each interface (R2.1.1a)."""
    if fault := _faults(design):
        return fault
    product = design.product
    covered = {name for threat in product.threats for name in threat.interfaces}
    bare = [one.id for one in product.interfaces if one.id not in covered]
    if bare:
        return failed(f"no threat is named for {', '.join(bare)}")
    if len(product.threats) < LEAST_THREATS:
        return failed(f"{len(product.threats)} threats are named, fewer than {LEAST_THREATS}")
    return passed(
        f"{len(product.threats)} threats named over {len(product.interfaces)} interfaces,"
        " none without one"
    )


def judge_published_policy(page: Answer, product: Product, now: datetime) -> Finding:
    """Pass if the vendor's MUD file permits the flows of the design and no other (R2.1d)."""
    if page.status == 404:
        return not_applicable("the vendor publishes no MUD file")
    if page.status != 200:
        return undetermined(f"the MUD file answered {page.status}")
    try:
        verify_mud(page.body, product, now=now)
    except Rejected as error:
        return failed(f"the published MUD file: {error.message}")
    return passed(f"the published MUD file permits the design's {len(list_flows(product))} flows")


def judge_measures(design: Design) -> Finding:
    """Pass if each threat has measures, or an acceptance by a role with a date (R2.1.1b)."""
    if fault := _faults(design):
        return fault
    threats = design.product.threats
    bare = [one.id for one in threats if not one.measures and one.acceptance is None]
    if bare:
        return failed(f"neither measure nor acceptance for {', '.join(bare)}")
    accepted = sum(1 for one in threats if one.acceptance is not None)
    measures = len(design.product.measures)
    return passed(f"{len(threats)} threats: {measures} measures named, {accepted} threats accepted")


def judge_inbound(product: Product) -> Finding:
    """Pass if every way in has a threat and authenticates, or says why not (R2.1f)."""
    ways = [i for i in product.interfaces if i.direction == "in" and i.transport != "physical"]
    if not ways:
        return undetermined("the design file declares no way in over the network")
    open_ = [i.id for i in ways if not i.authentication and not i.unauthenticated_because]
    if open_:
        return failed(f"no authentication and no reason for {', '.join(open_)}")
    covered = {name for threat in product.threats for name in threat.interfaces}
    bare = [i.id for i in ways if i.id not in covered]
    if bare:
        return failed(f"no threat is named for {', '.join(bare)}")
    return passed(f"{len(ways)} ways in over the network, each with threats and authentication")


def judge_identity(identity: Mapping[str, object], product: Product | None) -> Finding:
    """Pass if model, hardware and firmware revision are told, as the design has them (R5.3b)."""
    names = ("model", "hardware_revision", "firmware_revision")
    missing = [name for name in names if not identity.get(name)]
    if missing:
        return failed(f"the device does not tell its {', '.join(missing)}")
    if product is not None:
        if identity["model"] not in (product.model.name, product.model.display_name):
            return failed(f"the device is {identity['model']!r}, the design {product.model.name!r}")
        if identity["hardware_revision"] not in product.model.hardware_revisions:
            return failed(f"hardware revision {identity['hardware_revision']!r} is not designed")
    told = " ".join(str(identity[name]) for name in names)
    return passed(f"the device tells {told} (model, hardware revision, firmware revision)")


def judge_contact(answer: Answer, now: datetime, where: str) -> Finding:
    """Pass if a security.txt (RFC 9116) names a free contact and has not expired (R5.2)."""
    if answer.status != 200:
        return failed(f"{where}: /.well-known/security.txt answered {answer.status}")
    text = answer.body.decode("utf-8", "replace")
    contacts = re.findall(r"^Contact:\s*(\S+)", text, re.M | re.I)
    expires = re.findall(r"^Expires:\s*(\S+)", text, re.M | re.I)
    if not contacts:
        return failed(f"{where}: security.txt names no contact")
    if len(expires) != 1:
        return failed(f"{where}: security.txt must say once when it expires (RFC 9116, 2.5.5)")
    try:
        end = datetime.fromisoformat(expires[0].replace("Z", "+00:00"))
    except ValueError:
        return failed(f"{where}: security.txt expires at {expires[0][:40]!r}, which is no time")
    if end.tzinfo is None or end <= now:
        return failed(f"{where}: security.txt expired {expires[0][:40]}")
    return passed(f"{where}: security.txt names {contacts[0]}, good until {end.date()}")


def judge_support(
    identity: Mapping[str, object], product: Product, signed: Sequence[SupportStatement], what: str
) -> Finding:
    """Pass if the device tells anybody its support period, as designed or since signed."""
    told = identity.get("support")
    if not isinstance(told, dict):
        return failed("the device does not tell its support commitment")
    if what == "until":
        said = str(told.get("until", ""))[:10]
        if said in _promised(product, signed):
            return passed(f"the device says: supported until {said}")
        return failed(f"the device says supported until {said or 'nothing'}: nobody promised that")
    text = str(told.get("text", "")).strip()
    if not _AFTERWARDS.search(text):
        return not_applicable(f"its text does not speak of what follows: {text[:80]!r}")
    return passed(f"the device tells what follows: {text[:120]!r}")


def judge_support_page(
    page: Answer | None, product: Product, signed: Sequence[SupportStatement], what: str
) -> Finding:
    """Pass if anybody can read the commitment before buying (R5.1a, R5.1b)."""
    if page is None:
        return undetermined("no page was asked for")
    if page.status != 200:
        return failed(f"the support page answered {page.status}")
    text = _readable(page.body)
    promised = _promised(product, signed)
    if what == "until":
        named = sorted(day for day in promised if day in text)
        if named:
            return passed(f"the public support page names {named[-1]}")
        return failed(f"the public support page does not name {' or '.join(sorted(promised))}")
    texts = [product.support.text, *(one.text for one in signed)]
    if _AFTERWARDS.search(text) and any(_repeats(text, one) for one in texts):
        return passed("the public support page says what follows the support period")
    return failed("the public support page does not say what follows the support period")


def _promised(product: Product, signed: Sequence[SupportStatement]) -> set[str]:
    """The days until which updates were promised: by design, or in a signed statement."""
    return {product.support.until.isoformat(), *(one.until.date().isoformat() for one in signed)}


def _repeats(text: str, promise: str) -> bool:
    """Whether at least half of the longer words of `promise` stand in `text`."""
    words = set(re.findall(r"\w{5,}", promise.lower()))
    return 2 * sum(1 for word in words if word in text.lower()) >= len(words)


def judge_label(text: str, product: Product) -> Finding:
    """`attested` if the artwork bears what must be printed; ink on plastic was not seen (R5.3a)."""
    missing = []
    if product.maker.name not in text:
        missing.append("the maker")
    if product.model.name not in text and product.model.display_name not in text:
        missing.append("the model")
    revisions = [
        r for r in product.model.hardware_revisions if re.search(rf"\b{re.escape(r)}\b", text)
    ]
    if not revisions:
        missing.append("the hardware revision")
    if missing:
        return failed(f"the label's artwork does not bear {', '.join(missing)}")
    return attested(
        f"the label's artwork bears {product.maker.name}, {product.model.display_name},"
        f" {revisions[0]}; the printed label was not seen"
    )


def judge_history(history: History) -> Finding:
    """Pass if every change of the product has an author and a committer (R4a)."""
    if history.commits == 0:
        return failed("no commit holds the product's directory")
    if history.anonymous:
        return failed(f"{history.anonymous} of {history.commits} commits lack an identity")
    rest = f"; {history.uncommitted} files are not committed" if history.uncommitted else ""
    return passed(
        f"git: {history.commits} commits of the product by {history.people} committers,"
        f" each with an identity{rest}"
    )


def judge_locks(locks: Sequence[Lock]) -> Finding:
    """Pass if every component from outside is pinned with a hash (R4e)."""
    bare = [one for one in locks if one.hashed < one.packages or not one.packages]
    if bare:
        listed = ", ".join(
            f"{one.name}: {one.packages - one.hashed} of {one.packages}" for one in bare
        )
        return failed(f"not pinned with a hash: {listed}")
    listed = ", ".join(f"{one.name}: {one.packages}" for one in locks)
    return passed(f"every package is pinned with a SHA-256 ({listed})")


def judge_tests(count: int) -> Finding:
    """Pass if there is one; that they ran, and one for each vulnerability, the gate shows."""
    if count == 0:
        return failed("the product has no automated test")
    return passed(f"{count} automated tests of the product")


def _faults(design: Design) -> Finding | None:
    errors = [one for one in design.problems if one.severity is Severity.ERROR]
    if errors:
        return failed(f"{len(errors)} problems in the design file: {errors[0].message}")
    return None


def _readable(body: bytes) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", body.decode("utf-8", "replace")).split())
