"""The SDK that a product's function is written with (see docs/app-sdk.md).

Owns declarations (what a product can do, for whom), dispatch, durable state,
history, loops and health; `__main__` is the process that runs them. It never
sees a credential, a key or a socket: who calls was decided by the gateway, and
the declared access is checked here once more.
"""

from limpet.device.app._app import App
from limpet.device.app._context import Clock, Device, SystemClock
from limpet.device.app._declarations import Declaration, Kind
from limpet.device.app._guard import SafeWrite
from limpet.device.app._health import Unhealthy
from limpet.device.app._history import History
from limpet.device.app._instance import Instance
from limpet.device.app._state import State
from limpet.device.link.messages import Access
from limpet.errors import Rejected

__all__ = [
    "Access",
    "App",
    "Clock",
    "Declaration",
    "Device",
    "History",
    "Instance",
    "Kind",
    "Rejected",
    "SafeWrite",
    "State",
    "SystemClock",
    "Unhealthy",
]
