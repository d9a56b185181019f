"""systemd units for a device: boot and supervisor in one, each role in its own.

Owns the text of the units (systemd.exec(5)), written from the same table of limits, files and
sockets that the roles confine themselves by (`limpet.device.confine`), so that the two cannot
drift. Starts nothing. `python -m limpet.device.units DIR` writes the files.
"""

from limpet.device.units._render import SYSUSERS, TASKS, Site, render_units

__all__ = ["SYSUSERS", "TASKS", "Site", "render_units"]
