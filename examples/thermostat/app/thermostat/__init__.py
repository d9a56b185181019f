"""The example thermostat: keeps a room at the temperature that its people chose.

Owns the product's function and nothing of its security: that is limpet's. It
must never leave the heater on without a plausible measurement.
"""

from thermostat.functions import app

__all__ = ["app"]
