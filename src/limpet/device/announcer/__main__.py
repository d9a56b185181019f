"""`python -m limpet.device.announcer`: started by the supervisor."""

from limpet.device.announcer.role import serve
from limpet.device.link.permits import Role
from limpet.device.link.role import run_role

run_role(Role.ANNOUNCER, serve)
