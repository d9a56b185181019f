"""R2.1f: the design does not count on a perimeter."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.dossier import read_design
from limpet.audit.instruments.processes import read_processes
from limpet.audit.judgements.documents import judge_inbound
from limpet.audit.judgements.processes import judge_listeners
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Each declared way in has threats and authentication, and no other port is open."""
    return combine_all(
        attempt("design", lambda: judge_inbound(target.observe(read_design).product)),
        attempt("ports", lambda: _judge_ports(target)),
    )


def _judge_ports(target: Target) -> Finding:
    interfaces = target.observe(read_design).product.interfaces
    ways = [one for one in interfaces if one.direction == "in" and one.transport == "tcp"]
    port = target.need(target.device, "device URL").peer[1]
    datagrams = {one.port for one in interfaces if one.direction == "in" and one.transport == "udp"}
    return judge_listeners(
        target.observe(read_processes),
        len({way.port for way in ways}),
        port,
        datagram_ports=frozenset(filter(None, datagrams)),
    )


CHECK = Check(
    statement="R2.1f",
    section="2.1",
    means=(
        Means.NETWORK,
        Means.DOSSIER,
    ),
    run=run,
    needs=(
        Input.DEVICE,
        Input.PRODUCT,
    ),
)
