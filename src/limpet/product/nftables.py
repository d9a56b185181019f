"""Packet filters of a product for nftables (nft(8)), from its design.

Owns two rule sets: one that the device loads itself, and a guard for the gateway of its
network, which holds a device that was taken over as well. Both permit what `flows` says and
what no IP host can be without (DHCP, neighbour discovery), and drop the rest. Resolves
nothing: a host's addresses are given, or a name server fills the host's sets as it answers.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from types import MappingProxyType

from limpet.errors import Rejected

from ._types import Product, User
from .announcing import ANNOUNCEMENT_PORT, announces
from .flows import Flow, Peers, list_flows, list_hosts

__all__ = [
    "ANNOUNCER_USER",
    "APP_USER",
    "UPDATER_USER",
    "Setting",
    "render_device",
    "render_dnsmasq",
    "render_guard",
]

UPDATER_USER, APP_USER, ANNOUNCER_USER = "limpet-updater", "limpet-app", "limpet-announcer"
"""The users whose processes call out, or answer by datagrams."""

CACHED_SECONDS = 60
SET_TIMEOUT = "1d"
"""How long an address counts after the name server gave it last."""

_LINK_LOCAL = "fe80::/10"
LOCAL_NETWORKS = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    _LINK_LOCAL,
)
_DEVICE_TABLE = "limpet"
_GROUPS = {"ip": "224.0.0.251", "ip6": "ff02::fb"}
_TYPES = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}
_FAMILY = {4: "ip", 6: "ip6"}
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}|[0-9]{1,10}")
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")

_STATEFUL = "ct state vmap { established : accept, related : accept, invalid : drop }"
_THE_REST = 'counter comment "not declared"'
_HEARS = ("nd-router-advert", "nd-neighbor-solicit", "nd-neighbor-advert", "mld-listener-query")
_SAYS = (
    "nd-router-solicit",
    "nd-neighbor-solicit",
    "nd-neighbor-advert",
    "mld-listener-report",
    "mld2-listener-report",
)
_ASKS_FOR_AN_ADDRESS = (
    "udp sport 68 udp dport 67 accept",
    "udp sport 546 udp dport 547 accept",
)
_GETS_AN_ADDRESS = (
    "udp sport 67 udp dport 68 accept",
    "udp sport 547 udp dport 546 accept",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A design, and what only the place of use knows.

    `addresses` by host name makes fixed sets of a host's addresses; without them a name server
    fills the sets. `name_servers` are the only ones asked (any local one if there are none), and
    `local_networks` count as local besides the private ranges.
    `proxies` ("address:port") are those that the updater may call through.
    Raises `Rejected("bad-address")`.
    """

    product: Product
    addresses: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))
    name_servers: Sequence[str] = ()
    local_networks: Sequence[str] = ()
    proxies: Sequence[str] = ()

    def __post_init__(self) -> None:
        for text in (*self.name_servers, *(a for many in self.addresses.values() for a in many)):
            _address_family(text)
        for text in self.local_networks:
            _network_family(text)
        for text in self.proxies:
            _split_proxy(text)


def render_device(
    setting: Setting,
    *,
    updater_user: str = UPDATER_USER,
    app_user: str = APP_USER,
    announcer_user: str = ANNOUNCER_USER,
    resolver_user: str | None = None,
) -> str:
    """The rules for the device itself, as table `inet limpet`.

    Only the two users' processes begin anything outward, each only its own flows; the announcer's
    answers single askers in its own network, and the user of a resolver on the device asks name
    servers. Users may be given by number, and be the same.
    Raises `Rejected("bad-user")`.
    """
    outward = [flow for flow in list_flows(setting.product) if not flow.inbound]
    announced = [flow for flow in outward if flow.peers is Peers.MULTICAST_DNS]
    names = [flow for flow in outward if flow.peers is Peers.NAME_SERVERS]
    app = [flow for flow in outward if flow.user is User.APP]
    callers = {
        "updater": (
            updater_user,
            [
                *_rules([f for f in outward if f not in (*announced, *app)], setting),
                *_proxy_rules(setting),
            ],
        ),
        # Who calls a name looks it up.
        "app": (app_user, _rules([*app, *names] if app else [], setting)),
        "announcer": (announcer_user, _answers(setting)),
        "resolver": (resolver_user or "", _rules(names if resolver_user else [], setting)),
    }
    callers = {chain: caller for chain, caller in callers.items() if caller[1]}
    for user, _ in callers.values():
        if not _USER.fullmatch(user):
            raise Rejected("bad-user", f"{user!r} is no user's name or number")
    leaving = [
        *_rules(announced, setting),
        *(f'meta skuid "{user}" jump {chain}' for chain, (user, _) in callers.items()),
    ]
    chains = [
        _chain("input", _arriving(setting.product), hook="input", policy="drop"),
        _chain("output", _leaving(leaving), hook="output", policy="drop"),
        *(_chain(chain, rules) for chain, (_, rules) in callers.items()),
    ]
    return _table(_DEVICE_TABLE, setting, chains)


def render_guard(setting: Setting, *, sources: Sequence[str]) -> str:
    """The rules for the gateway in front of one device, as table `inet limpet-<model>`.

    `sources` are the device's MAC and IP addresses, at least one; what others send to it is
    filtered for its IP addresses. Raises `Rejected("bad-source")`.
    """
    if not sources:
        raise Rejected("bad-source", "say which device it is", hint="its MAC or IP address")
    flows = list_flows(setting.product)
    outward = [flow for flow in flows if not flow.inbound]
    serving = [flow for flow in outward if flow.peers is not Peers.HOSTS]
    inward = [rule for flow in flows if flow.inbound for rule in _local_arrival(flow, setting)]
    forward = [f"{match} goto from_device" for match in _sources(sources, "saddr")]
    forward += [f"{match} goto to_device" for match in _sources(sources, "daddr")]
    return _table(
        _guard_table(setting.product),
        setting,
        [
            _chain("forward", forward, hook="forward", policy="accept"),
            _chain(
                "input",
                [f"{match} goto to_gateway" for match in _sources(sources, "saddr")],
                hook="input",
                policy="accept",
            ),
            _chain(
                "from_device",
                [_STATEFUL, *_rules(outward, setting), *_proxy_rules(setting), "counter drop"],
            ),
            _chain(
                "to_gateway",
                [
                    _STATEFUL,
                    f"icmpv6 type {_set(_SAYS)} accept",
                    "ip protocol igmp accept",
                    *_ASKS_FOR_AN_ADDRESS,
                    *(rule for flow in serving for rule in _served(flow)),
                    "counter drop",
                ],
            ),
            _chain("to_device", [_STATEFUL, *inward, "counter drop"]),
        ],
    )


def render_dnsmasq(product: Product, *, guard: bool) -> str:
    """Lines for dnsmasq (2.87 or later), which fills the sets before it answers a question.

    They are for the device's own rules, or with `guard` for its gateway's. It keeps answers for a
    minute only: one from its memory would not fill a set whose entry has timed out.
    """
    table = _guard_table(product) if guard else _DEVICE_TABLE
    return f"max-cache-ttl={CACHED_SECONDS}\n" + "".join(
        f"nftset=/{host}/4#inet#{table}#{_set_name(host, 'ip')},"
        f"6#inet#{table}#{_set_name(host, 'ip6')}\n"
        for host in list_hosts(product)
    )


def _arriving(product: Product) -> list[str]:
    return [
        'iifname "lo" accept',
        _STATEFUL,
        f"icmpv6 type {_set(_HEARS)} accept",
        *_GETS_AN_ADDRESS,
        *(rule for flow in list_flows(product) if flow.inbound for rule in _arrival(flow)),
        _THE_REST,
    ]


def _leaving(declared: Sequence[str]) -> list[str]:
    return [
        'oifname "lo" accept',
        _STATEFUL,
        f"icmpv6 type {_set(_SAYS)} accept",
        "ip protocol igmp accept",
        *_ASKS_FOR_AN_ADDRESS,
        *declared,
        _THE_REST,
    ]


def _guard_table(product: Product) -> str:
    return f"{_DEVICE_TABLE}-{product.model.name}"


def _rules(flows: Iterable[Flow], setting: Setting) -> list[str]:
    """What lets the device begin `flows`."""
    rules: dict[str, None] = {}
    for flow in flows:
        for family, peers in _peers(flow, setting).items():
            rule = f"{family} daddr {peers} {flow.transport.value} dport {flow.port} accept"
            rules[rule] = None
    return list(rules)


def _proxy_rules(setting: Setting) -> list[str]:
    """What lets the updater call through its owner's proxies, which no design can know."""
    rules = []
    for text in setting.proxies:
        address, port = _split_proxy(text)
        rules.append(f"{_address_family(address)} daddr {address} tcp dport {port} accept")
    return rules


def _split_proxy(text: str) -> tuple[str, int]:
    """Address and port; a name would not do in a rule. Raises `Rejected("bad-address")`."""
    address, _, port = text.rpartition(":")
    address = address.removeprefix("[").removesuffix("]")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise Rejected("bad-address", f"{text!r} is no proxy", hint="write ADDRESS:PORT")
    _address_family(address)
    return address, int(port)


def _peers(flow: Flow, setting: Setting) -> Mapping[str, str]:
    """By family: whom `flow` is with."""
    if flow.peers is Peers.HOSTS:
        return {family: f"@{_set_name(flow.host, family)}" for family in _TYPES}
    if flow.peers is Peers.MULTICAST_DNS:
        return _GROUPS
    if flow.peers is Peers.NAME_SERVERS and setting.name_servers:
        found = _by_family(setting.name_servers)
    else:
        found = _local(setting)
    return {family: _set(many) for family, many in found.items()}


def _answers(setting: Setting) -> list[str]:
    """What lets the announcer answer one asker alone (RFC 6762, 5.4 and 6.7): to the connection
    tracking it is no reply, as the question went to the group.

    Over IPv6 only within the link, which is whence the group is asked: a socket of IPv6 cannot be
    held to its link otherwise. One of IPv4 is, by its option SO_DONTROUTE.
    """
    if not announces(setting.product):
        return []
    near = {**_local(setting), "ip6": [_LINK_LOCAL]}
    return [
        f"{family} daddr {_set(many)} udp sport {ANNOUNCEMENT_PORT} accept"
        for family, many in near.items()
    ]


def _arrival(flow: Flow) -> list[str]:
    """What lets others begin `flow` with the device, from wherever they are."""
    accept = f"{flow.transport.value} dport {flow.port} accept"
    if flow.peers is Peers.MULTICAST_DNS:
        return [f"{family} daddr {group} {accept}" for family, group in _GROUPS.items()]
    return [accept]


def _local_arrival(flow: Flow, setting: Setting) -> list[str]:
    """The same from the local networks only; a group's packets are not forwarded."""
    if flow.peers is Peers.MULTICAST_DNS:
        return []
    return [
        f"{family} saddr {_set(many)} {flow.transport.value} dport {flow.port} accept"
        for family, many in _local(setting).items()
    ]


def _served(flow: Flow) -> list[str]:
    """What lets the device ask the gateway itself."""
    return [f"{flow.transport.value} dport {flow.port} accept"]


def _local(setting: Setting) -> Mapping[str, list[str]]:
    return _by_family((*LOCAL_NETWORKS, *setting.local_networks))


def _by_family(texts: Iterable[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        found.setdefault(_network_family(text), []).append(text)
    return found


def _sources(sources: Sequence[str], side: str) -> list[str]:
    """What matches the device's packets (`saddr`) or those to it (`daddr`)."""
    matches = []
    for source in sources:
        if _MAC.fullmatch(source.lower()):
            matches += [f"ether saddr {source.lower()}"] if side == "saddr" else []
            continue
        try:
            matches.append(f"{_address_family(source)} {side} {source}")
        except Rejected:
            raise Rejected(
                "bad-source", f"{source!r} is no MAC or IP address", hint="write 02:00:00:00:00:01"
            ) from None
    return matches


def _table(name: str, setting: Setting, chains: Sequence[str]) -> str:
    model = setting.product.model.name
    hosts = list_hosts(setting.product)
    sets = "".join(_named_set(host, family, setting) for host in hosts for family in _TYPES)
    return (
        f"# Made from the product.toml of {model} by `limpet product nftables`: do not edit.\n"
        f"# Load it with `nft -f FILE`: the table is replaced as a whole, or not at all.\n"
        f"table inet {name} {{\n}}\n"
        f"delete table inet {name}\n"
        f"table inet {name} {{\n{sets}{''.join(chains)}}}\n"
    )


def _named_set(host: str, family: str, setting: Setting) -> str:
    lines = [f"type {_TYPES[family]}"]
    if setting.addresses:
        known = [a for a in setting.addresses.get(host, ()) if _address_family(a) == family]
        lines += [f"elements = {_set(known)}"] if known else []
    else:
        lines += ["flags timeout", f"timeout {SET_TIMEOUT}"]
    body = "".join(f"\t\t{line}\n" for line in lines)
    return f"\tset {_set_name(host, family)} {{\n{body}\t}}\n"


def _chain(name: str, rules: Sequence[str], *, hook: str = "", policy: str = "") -> str:
    lines = [f"type filter hook {hook} priority filter; policy {policy};"] if hook else []
    body = "".join(f"\t\t{line}\n" for line in (*lines, *rules))
    return f"\tchain {name} {{\n{body}\t}}\n"


def _set_name(host: str, family: str) -> str:
    return f"{family}-{host}"


def _set(members: Iterable[str]) -> str:
    return f"{{ {', '.join(members)} }}"


def _address_family(text: str) -> str:
    try:
        return _FAMILY[ip_address(text).version]
    except ValueError:
        raise Rejected("bad-address", f"{text!r} is no IP address") from None


def _network_family(text: str) -> str:
    try:
        return _FAMILY[ip_network(text).version]
    except ValueError:
        message = f"{text!r} is no network"
        raise Rejected("bad-address", message, hint="write 192.168.1.0/24") from None
