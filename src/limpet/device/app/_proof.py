"""What the app says of its health: its own checks, and that the declared functions answer.

Owns the clauses that the app can judge and the words for those that fail. Each fault begins
with the clause's name, `app` or `function NAME`, so that whoever reads the end of a trial knows
what failed. Changes nothing: only readings are asked, as anyone of level viewer would.
"""

from collections.abc import Mapping
from functools import partial

from limpet.device.app._declarations import Function, Kind
from limpet.device.app._instance import Instance
from limpet.device.app._worker import Worker
from limpet.device.link.messages import Access
from limpet.errors import Rejected
from limpet.product import HealthCheck

__all__ = ["find_faults"]

FAULT_CHARACTERS = 240


async def find_faults(
    check: HealthCheck,
    instance: Instance[object],
    functions: Mapping[str, Function],
    worker: Worker,
    *,
    call_seconds: float,
) -> list[str]:
    """The clauses of `check` that fail now, each with its reason; empty for a healthy product."""
    try:
        healthy, reason = await worker.run(instance.health, seconds=call_seconds)
    except Rejected as error:
        # All of a product's code waits for the same thread: nothing else would answer either.
        return [_fault("app", error.message)]
    faults = [] if healthy else [_fault("app", reason)]
    for name in check.functions:
        function = functions.get(name)
        if function is None or function.kind is not Kind.READING:
            faults.append(_fault(f"function {name}", "this firmware has no such reading"))
            continue
        try:
            seconds = float(check.answer_seconds)
            # Bound now: a call whose turn comes too late must not become the next one.
            call = partial(instance.call, name, Access.OWNER, b"{}")
            await worker.run(call, seconds=seconds)
        except Rejected as error:
            faults.append(_fault(f"function {name}", error.message))
            if error.reason == "app-timeout":
                break  # what waits behind it is not to blame
    return faults


def _fault(clause: str, reason: str) -> str:
    return f"{clause}: {reason or 'no reason given'}"[:FAULT_CHARACTERS]
