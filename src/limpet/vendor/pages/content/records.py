"""The pages of what was published: releases, components, advisories, the network policy. Pure."""

from limpet.product import list_flows
from limpet.vendor.pages.document import (
    Block,
    Chapter,
    Code,
    Document,
    Entry,
    Facts,
    Mark,
    Run,
    Table,
    Text,
    Tone,
    join,
    link,
    paragraph,
    text,
)
from limpet.vendor.pages.dossier import Dossier, ReleaseRecord
from limpet.vendor.pages.places import Place
from limpet.vendor.pages.records import Bill, Gate
from limpet.wire.release import sbom_path

from .words import short, size

__all__ = ["advisories_page", "components_page", "network_page", "releases_page"]


def releases_page(dossier: Dossier, place: Place) -> Document:
    """Every published release with what it takes to check it, and to make it again."""
    title = f"Releases of {dossier.product.model.display_name}"
    rows = tuple(_release_row(one, dossier, place) for one in dossier.releases)
    table = Table(
        headings=("Version", "Built", "Size", "Counter", "Standing", "Gate", "Materials", "Image"),
        rows=rows,
        label="Releases",
        empty="None was published.",
        anchors=tuple(f"release-{one.version}" for one in dossier.releases),
    )
    chapters = [Chapter("releases", "All of them", (table,))]
    if dossier.releases:
        chapters += [_newest_chapter(dossier.releases[0], dossier), _verifying(dossier)]
    said = (
        "What exists is signed offline; what is offered is signed online, and can only be one of"
        " these."
    )
    return Document(
        title=title, opening=(paragraph(said, tone=Tone.LEAD),), chapters=tuple(chapters)
    )


def _release_row(one: ReleaseRecord, dossier: Dossier, place: Place) -> tuple[Text, ...]:
    manifest = one.release.manifest
    standing: Run = one.standing or "–"
    if one.standing == "withdrawn":
        standing = Mark("withdrawn", Tone.WARNING)
    digest = manifest.image.path.removeprefix("images/").removesuffix(".img")
    return (
        text(manifest.version),
        text(f"{manifest.built_at:%Y-%m-%d}"),
        text(size(manifest.image.packed)),
        text(str(manifest.security_counter)),
        text(standing),
        _gate(one),
        text(_bill(one, dossier, place)),
        text(short(digest)),
    )


def _bill(one: ReleaseRecord, dossier: Dossier, place: Place) -> Run:
    """Of the newest one beside the page, of older ones in the repository."""
    hosts = dossier.product.vendor.hosts
    if not one.sbom:
        return "none"
    if one.version == dossier.bill_of:
        return link("SBOM", place.data("components", "cdx.json"))
    return link("SBOM", f"https://{hosts[0]}/repository/{sbom_path(one.sbom)}") if hosts else ""


def _gate(one: ReleaseRecord) -> Text:
    if one.gate is None:
        return text("no statement")
    tone = Tone.GOOD if one.gate.verdict == "passed" else Tone.WARNING
    return text(Mark(one.gate.verdict, tone))


def _gate_in_full(gate: Gate) -> Text:
    by: tuple[Run, ...] = (", signed by the gate's key ", short(gate.key_id)) if gate.key_id else ()
    said = f"{gate.verdict} on {gate.judged_at:%Y-%m-%d}, {gate.rules} rules passed"
    return text(said, *by)


def _newest_chapter(one: ReleaseRecord, dossier: Dossier) -> Chapter:
    manifest = one.release.manifest
    pairs = [
        ("Manifest", text("SHA-256 ", Code(one.release.manifest_sha256))),
        ("Image", text("SHA-256 ", Code(manifest.image.path.removeprefix("images/")[:64]))),
        ("Installed tree", text("SHA-256 ", Code(manifest.image.tree_sha256))),
        ("Built at", text(f"{manifest.built_at:%Y-%m-%dT%H:%M:%SZ}")),
        ("Built from", text(Code(manifest.source_commit) if manifest.source_commit else "–")),
        ("For hardware", text(", ".join(manifest.hardware_revisions))),
        ("Comes from", text(f"{manifest.minimum_version} or later")),
        ("Suite of algorithms", text(str(manifest.suite))),
        ("Interface", text(f"version {manifest.interface_version}")),
        ("Deltas", text(", ".join(each.base_version for each in manifest.deltas) or "none")),
    ]
    if one.gate is not None:
        pairs.append(("Gate", _gate_in_full(one.gate)))
    return Chapter("newest", f"The newest: {manifest.version}", (Facts(tuple(pairs)),))


def _verifying(dossier: Dossier) -> Chapter:
    manifest = dossier.releases[0].release.manifest
    host = dossier.product.vendor.hosts[0] if dossier.product.vendor.hosts else "HOST"
    commit = manifest.source_commit or '""'  # what it does not say, a build shall not look for
    build = (
        f"limpet release build PRODUCT --trust TRUST --version {manifest.version}"
        f" --security-counter {manifest.security_counter}"
        f" --interface-version {manifest.interface_version}"
        f" --built-at {manifest.built_at:%Y-%m-%dT%H:%M:%S} --source-commit {commit} --out OUT"
    )
    return Chapter(
        "verify",
        "Check it, or make it again",
        (
            Entry(
                "check",
                "Check",
                (
                    paragraph(
                        "The repository is TUF 1.0: any client of it, given root.json from a"
                        " device or from its maker, verifies every release. Its metadata is at ",
                        Code(f"https://{host}/repository/metadata/"),
                        ", targets at ",
                        Code(f"https://{host}/repository/targets/"),
                        ".",
                    ),
                ),
            ),
            Entry(
                "reproduce",
                "Make it again",
                (
                    paragraph("From the same sources, in any directory, the same bytes come:"),
                    paragraph(Code(build)),
                    paragraph(
                        "With the same packages (--lock, --platform) and form, the SHA-256 of"
                        " image.img in OUT is then the one above. Bounds of the rollout are in the"
                        " manifest, not in the image."
                    ),
                ),
            ),
        ),
    )


def components_page(dossier: Dossier, place: Place) -> Document:
    """What the firmware is made of, and its cryptographic inventory."""
    title = f"Components of {dossier.product.model.display_name}"
    bill = dossier.bill
    if bill is None:
        said = "No release of this product was published with a bill of materials (SBOM)."
        return Document(title=title, opening=(paragraph(said),))
    lead = paragraph(
        f"Release {dossier.bill_of} is made of {len(bill.parts)} components, {bill.unlicensed}"
        f" without a stated licence. CycloneDX {bill.spec_version}: ",
        link("the whole document", place.data("components", "cdx.json")),
        tone=Tone.LEAD,
    )
    return Document(
        title=title,
        opening=(lead,),
        chapters=(
            Chapter("components", "Components", (_parts(bill),)),
            Chapter("algorithms", "Cryptographic inventory", (_algorithms(bill),)),
        ),
    )


def _parts(bill: Bill) -> Table:
    return Table(
        headings=("Component", "Version", "Licence", "Package URL", "SHA-256"),
        rows=tuple(
            (
                text(one.name),
                text(one.version or "–"),
                text(", ".join(one.licences) or "none stated"),
                text(Code(one.purl) if one.purl else "–"),
                text(short(one.sha256) if one.sha256 else "–"),
            )
            for one in bill.parts
        ),
        label="Components",
    )


def _algorithms(bill: Bill) -> Table:
    return Table(
        headings=("Algorithm or asset", "Kind", "Primitive", "Parameters", "OID", "NIST level"),
        rows=tuple(
            (
                text(one.name),
                text(one.kind or "–"),
                text(one.primitive or "–"),
                text(one.parameters or "–"),
                text(Code(one.oid) if one.oid else "–"),
                text("–" if one.quantum_level is None else str(one.quantum_level)),
            )
            for one in bill.algorithms
        ),
        label="Cryptographic inventory",
        empty="The document has no cryptographic inventory.",
    )


def _counted(count: int) -> str:
    if count == 1:
        return "One was published; it is a CSAF document, too."
    return f"{count} were published, newest first; each is a CSAF document, too."


def advisories_page(dossier: Dossier) -> Document:
    """Every published advisory, newest first."""
    title = f"Security advisories on {dossier.product.model.display_name}"
    if not dossier.advisories:
        return Document(title=title, opening=(paragraph("None was published."),))
    entries: list[Block] = []
    for number, one in enumerate(dossier.advisories, start=1):
        pairs = [
            ("Published", text(one.released)),
            ("Last change", text(one.changed)),
            ("Severity", text(one.severity or "not rated")),
            ("Vulnerabilities", join([Code(cve) for cve in one.cves], none="without a CVE id")),
            ("What to do", text(" ".join(one.remedies) or "the document says nothing")),
            ("Document", text(link("CSAF", f"advisories/{one.file}"), f" ({one.status})")),
        ]
        heading = f"{one.id}: {one.title}"
        entries.append(Entry(f"advisory-{number}", heading, (Facts(tuple(pairs)),)))
    lead = paragraph(_counted(len(entries)), tone=Tone.LEAD)
    return Document(
        title=title,
        opening=(lead,),
        chapters=(Chapter("advisories", "Advisories", tuple(entries)),),
    )


def network_page(dossier: Dossier, place: Place) -> Document:
    """What crosses the network port, and the policy for programs (RFC 8520)."""
    product = dossier.product
    rows = tuple(
        (
            text("in" if one.inbound else "out"),
            text(f"{one.transport.value.upper()} {one.port}"),
            text(one.host or one.peers.value.replace("-", " ")),
            text("the product's function" if one.user.value == "app" else "the platform"),
        )
        for one in list_flows(product)
    )
    flows = Table(headings=("Begun from", "Port", "With", "By"), rows=rows, label="Network flows")
    if dossier.mud is None:
        said = paragraph("The product calls no host, so that it has no MUD file.")
    else:
        signature: tuple[Run, ...] = (" It is not signed.",)
        if dossier.mud.signature is not None:
            signature = (" Its ", link("signature", place.data("mud", "p7s")), " is CMS.")
        said = paragraph(
            "For a router that keeps devices to it: ",
            link("the MUD file", place.data("mud")),
            " (RFC 8520), made from the same design.",
            *signature,
        )
    return Document(
        title=f"Network use of {product.model.display_name}",
        opening=(
            paragraph(
                "Every packet that the design permits, and nothing else: the device keeps itself"
                " to it, and a network can hold it to it.",
                tone=Tone.LEAD,
            ),
        ),
        chapters=(
            Chapter("flows", "Flows", (flows,)),
            Chapter("policy", "For your network", (said,)),
        ),
    )
