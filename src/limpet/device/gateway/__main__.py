"""The gateway process."""

from limpet.device.gateway.role import serve
from limpet.device.link.permits import Role
from limpet.device.link.role import run_role

run_role(Role.GATEWAY, serve)
