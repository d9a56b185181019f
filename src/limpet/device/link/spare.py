"""What a process of a device does without, though others' code would load it.

Owns the table. A name in it cannot be imported in that process; whoever imports it must be able
to do without (asyncio does without `ssl`, msgspec without `typing_extensions`). This saves a
process memory, and leaves a role that was taken without what it has no use for. Imports nothing.
"""

import sys

__all__ = ["leave_out"]

_EVERYWHERE = ("typing_extensions",)
_WITHOUT = {
    "limpet.device.supervisor": ("ssl",),
    "limpet.device.accounts": ("ssl",),
    "limpet.device.announcer": ("ssl",),
}
"""No TLS where none is spoken."""


def leave_out(module: str) -> None:
    """Make the process that is about to become `module` do without; call it before all imports."""
    for name in (*_EVERYWHERE, *_WITHOUT.get(module, ())):
        sys.modules[name] = None  # type: ignore[assignment]  # "import halted", of the import system
