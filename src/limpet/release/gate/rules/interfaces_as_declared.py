"""interfaces-as-declared: what the built firmware opens to a network is what its design declares.

Numbered as it judges:

1. A device is made of the firmware and started, in a network of its own. One that does not
   answer has shown nothing.
2. A port that it opens and does not declare is refused, and one that it declares and does not
   open too: who reads the design, its threats or its MUD file must read the truth. So is what
   the device kept its product from opening, for which it does not run the product at all.
3. Where the machine has no network of its own for it, a socket that nobody can be seen to hold
   may be another program's: it leaves the rule inconclusive, and refuses nothing.

What a device opens only later, or by hardware that this machine lacks, is not seen here.
"""

from datetime import UTC, datetime

from limpet.errors import Unavailable
from limpet.product import PRODUCT_FILE, Product, load_product
from limpet.release.gate._rule import Fault, Finding, Rule, Verdict
from limpet.release.gate._subject import Subject
from limpet.release.gate._surface import compare_surface, declared_ports, describe_socket
from limpet.release.gate._trial import Seen, try_firmware

__all__ = ["RULE", "judge", "judge_surface"]

_CUT_OFF = "take it out: a product opens no port, and calls out through device.https"


def judge(subject: Subject) -> Finding:
    """Make a device of the firmware, start it, look, and end it: some ten seconds."""
    # 1. Its own design file: `source-committed` sees that it is the commit's.
    design = load_product(subject.tree / PRODUCT_FILE)
    seen = try_firmware(
        subject.tree,
        subject.manifest,
        tuple(declared_ports(design)),
        clock=lambda: datetime.now(UTC),  # the device goes by this machine's clock too
        given_up=subject.given_up,
    )
    return judge_surface(design, seen)


def judge_surface(design: Product, seen: Seen) -> Finding:
    """The judgement of what was seen. Raises `Unavailable` if that is not known to be the device's.

    Pure.
    """
    # 2.
    declared = declared_ports(design)
    ways_in = [one for one in seen.sockets if one.is_way_in]
    doubtful = [
        one for one in ways_in if seen.shared_because and not one.holder and one.key not in declared
    ]
    faults = (
        *(Fault(words, hint=_CUT_OFF) for words in seen.refused),
        *compare_surface(declared, [one for one in ways_in if one not in doubtful]),
    )
    # 3.
    if doubtful and not faults:
        raise Unavailable(
            f"{describe_socket(doubtful[0])}: it may be another program's, because the device had"
            f" no network of its own ({seen.shared_because})",
            hint="run the gate as root, or where the kernel permits user namespaces",
        )
    network = "this machine's network" if seen.shared_because else "a network of its own"
    opened = sorted({describe_socket(one) for one in ways_in})
    return Finding(
        Verdict.REFUSED if faults else Verdict.PASSED,
        evidence=(f"a device was started in {network}", *opened),
        faults=faults,
        listed=tuple(describe_socket(one) for one in seen.sockets if not one.is_way_in),
    )


RULE = Rule(
    id="interfaces-as-declared",
    title="A device made of the image opens to the network what the design declares, and no more",
    reason="A port that nobody declared has no threat, no measure and no firewall rule against it.",
    statements=("R2.1d", "R2.1f", "R2.1.1a"),
    hint="declare what is open under [[interfaces]], or do not open it; then build again",
    judge=judge,
    waits=True,
)
