"""Which certificate a client is shown: one rule, by the name that it asks for (RFC 6066, 3).

1. Who asks for the pinned name, which no browser ever does, trusts the maker's root: the
   operational chain. 2. Everybody else, who asks for any other name or, by address, for none, is a
   browser: the household's chain, if the owner gave the device one. 3. Without one, the
   operational chain for all.
"""

import ssl

from limpet.crypto.names import pinned_name
from limpet.crypto.tls import serve_by_name, server_context
from limpet.device.gateway.certificate import Identity
from limpet.device.gateway.household import Household

__all__ = ["front_context"]


def front_context(identity: Identity, household: Household) -> ssl.SSLContext:
    """The context for new connections. Raises `Rejected`."""
    operational = server_context(identity.chain_pem, identity.key)
    if household.shown is None or household.key is None:
        return operational  # 3.
    shown = server_context(household.shown.chain_pem, household.key)  # 2.
    return serve_by_name(shown, {pinned_name(household.serial): operational})  # 1.
