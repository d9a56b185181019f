"""The updater process."""

from limpet.device.link.permits import Role
from limpet.device.link.role import run_role
from limpet.device.updater.role import serve

run_role(Role.UPDATER, serve)
