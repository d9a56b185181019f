"""What an owner says of the network that updates come by: what it costs, how fast, by which proxy.

Pure. The device keeps a proxy's password; here it is only on its way there.
"""

import msgspec

from limpet.errors import Rejected
from limpet.owner.answers import Policy, ProxyAnswer

__all__ = ["describe_network", "merge_network", "parse_limit", "parse_proxy"]

LEAST_LIMIT = 8 << 10
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}


def merge_network(
    policy: Policy,
    *,
    metered: bool | None = None,
    limit: int | None = None,
    proxy: ProxyAnswer | None = None,
    no_proxy: bool = False,
) -> Policy:
    """`policy` with what was given; a limit of 0 is none."""
    changed: Policy = msgspec.structs.replace(
        policy,
        metered=policy.metered if metered is None else metered,
        bandwidth=policy.bandwidth if limit is None else limit or None,
        proxy=None if no_proxy else proxy or policy.proxy,
    )
    return changed


def parse_limit(text: str) -> int:
    """ "256K" or "2M" as bytes a second; "none" is 0. Raises `Rejected("bad-limit")`."""
    if text == "none":
        return 0
    number = text[:-1] if text[-1:].lower() in ("k", "m") else text
    unit = _UNITS[text[len(number) :].lower()]
    if number.isascii() and number.isdigit() and len(number) < 10:
        limit = int(number) * unit
        if LEAST_LIMIT <= limit <= 1 << 30:
            return limit
    raise Rejected(
        "bad-limit", f"{text!r} is no limit", hint="bytes a second from 8K to 1024M, or `none`"
    )


def parse_proxy(text: str, *, user: str = "", password: str | None = None) -> ProxyAnswer:
    """ "proxy.home.arpa:3128" as a proxy. Raises `Rejected("bad-proxy")`."""
    host, colon, port = text.removeprefix("http://").rstrip("/").rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    fits = colon and host and "@" not in host and "/" not in host
    if not (fits and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise Rejected(
            "bad-proxy",
            "this is no proxy",
            hint="write HOST:PORT; a user name goes into --proxy-user, never into the address",
        )
    return ProxyAnswer(host=host, port=int(port), user=user, password=password)


def describe_network(policy: Policy) -> str:
    """The choice in one line."""
    cost = "metered: images wait for your word" if policy.metered else "not metered"
    limit = f"at most {policy.bandwidth / 1024:g} KiB/s" if policy.bandwidth else "no limit"
    proxy = policy.proxy
    way = "no proxy"
    if proxy is not None:
        way = f"by the proxy {proxy.host}:{proxy.port}{f' as {proxy.user}' if proxy.user else ''}"
    return f"{cost}, {limit}, {way}"
