"""Architecture, processes and their rights, and what of the confinement is left out.

Pure. From the record that the firmware's own code made at the build (`limpet.wire.rights`).
"""

from limpet.product import Product
from limpet.vendor.pages.document import (
    Block,
    Chapter,
    Code,
    Entry,
    Facts,
    Table,
    Text,
    join,
    paragraph,
    text,
)
from limpet.vendor.pages.dossier import Dossier
from limpet.vendor.pages.picture import draw_architecture
from limpet.wire.rights import ProcessRights, Rights

from .words import size

__all__ = ["architecture_chapter", "processes_chapter"]

MISSING = (
    "No published release carries the record of its processes, so that none is shown here:"
    " releases built by an older limpet have none."
)


def architecture_chapter(dossier: Dossier) -> Chapter:
    """The picture, and what it means."""
    product, rights = dossier.product, dossier.rights
    blocks: list[Block] = [
        paragraph(
            "The process that faces the network holds nothing worth taking, and everything that"
            " it may ask of the others is one table. A vendor's server, even a stolen one, can"
            " delay an update but not make one."
        )
    ]
    if rights is None:
        blocks.append(paragraph(MISSING))
    else:
        blocks += [
            draw_architecture(product, rights),
            paragraph(
                "Left and right the interfaces of the design, between them the processes of"
                f" release {rights.version}; arrows inside lead from who asks to who is asked."
            ),
        ]
    return Chapter("architecture", "Architecture", tuple(blocks))


def processes_chapter(dossier: Dossier) -> Chapter:
    """Each process: what it may ask, reach, read, write and call."""
    product, rights = dossier.product, dossier.rights
    if rights is None:
        blocks: tuple[Block, ...] = (paragraph(MISSING),)
    else:
        blocks = (
            paragraph(
                "Made by the firmware's own code from the tables that its processes confine"
                " themselves by. What is in none of them is refused: a request ends the asker,"
                " a system call ends the process or fails."
            ),
            _permits(rights),
            *(_process(one) for one in rights.processes),
        )
    return Chapter("processes", "Processes and rights", (*blocks, *_gaps(product, rights)))


def _permits(rights: Rights) -> Table:
    names = [one.role for one in rights.processes]
    rows = []
    for one in rights.processes:
        asked = {ask.role: len(ask.requests) for ask in one.asks}
        rows.append((text(one.role), *(text(str(asked.get(name, "–"))) for name in names)))
    return Table(
        headings=("asks", *(f"of {name}" for name in names)),
        rows=tuple(rows),
        label="How many kinds of request each process may send to each other",
    )


def _process(one: ProcessRights) -> Entry:
    asks: list[Text] = [(Code(ask.role), f": {', '.join(ask.requests)}. ") for ask in one.asks]
    pairs: list[tuple[str, Text]] = [
        ("May ask", tuple(run for each in asks for run in each) or text("nobody")),
        ("Network", text(_network(one))),
    ]
    if one.reads or one.writes:
        pairs += [
            ("Reads", text(", ".join(one.reads) or "nothing of its own")),
            ("Writes", text(", ".join(one.writes) or "nothing")),
        ]
    if one.memory_bytes:
        bounds = (
            f"{size(one.memory_bytes)} of address space, files of {size(one.file_bytes)},"
            f" {one.open_files} open files, no core dump, no executable memory"
        )
        pairs.append(("Bounds", text(bounds)))
    if one.system_calls:
        calls = sorted({call for each in one.system_calls for call in each.calls})
        pairs.append((f"{len(calls)} system calls", join([Code(call) for call in calls])))
    return Entry(f"process-{one.role}", one.role, (paragraph(one.task), Facts(tuple(pairs))))


def _network(one: ProcessRights) -> str:
    ports = ", ".join(map(str, one.listens or one.connects))
    return {
        "none": "none: opens no socket of a network",
        "accepts": f"takes TCP connections{f' at {ports}' if ports else ''}; opens none",
        "calls": f"opens TCP connections{f' to {ports}' if ports else ''}; takes none",
        "link": "datagrams of the local link; no TCP",
    }[one.network]


def _gaps(product: Product, rights: Rights | None) -> tuple[Block, ...]:
    mechanisms = f" These hold: {', '.join(rights.mechanisms)}." if rights else ""
    every = (
        "Every process of the device gives up what it does not need before it serves, and does"
        f" not start if it cannot.{mechanisms} "
    )
    if not product.confinement_gaps:
        return (
            Entry(
                "confinement",
                "Limits of confinement",
                (paragraph(f"{every}No mechanism is left out."),),
            ),
        )
    gaps = tuple((one.mechanism.value, text(one.rationale)) for one in product.confinement_gaps)
    return (
        Entry(
            "confinement",
            "Limits of confinement",
            (
                paragraph(f"{every}What is not used, and why:"),
                Facts(gaps),
            ),
        ),
    )
