"""The accounts process."""

from limpet.device.accounts.role import serve
from limpet.device.link.permits import Role
from limpet.device.link.role import run_role

run_role(Role.ACCOUNTS, serve)
