"""Small networks of the test's own: network namespaces, real servers and real connections.

Nothing here touches the machine's own network. Needs root, iproute2 and nftables.
"""

import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.needs import need

PROGRAM = Path(__file__).with_name("connections.py")
TOOLS = ("ip", "nft")

Way = tuple[str, str, int]
"""Protocol (tcp, udp), address, port."""


def need_namespaces(*more: str) -> None:
    """Skip, saying so, where the test cannot be made; in CI a missing tool is a failure."""
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces: the rules were not loaded")
    need(*TOOLS, *more, package="iproute2 nftables dnsmasq-base", untried="no rules were loaded")
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode != 0:
        pytest.skip("no network namespaces here: the rules were not loaded")


class Namespace:
    """One network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def command(self, *words: str, uid: int = 0) -> list[str]:
        """The command that runs `words` inside, as user `uid`."""
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        return ["ip", "netns", "exec", self.name, *user, *words]

    def run(self, *words: str, text: str | None = None) -> str:
        """What `words` print."""
        done = subprocess.run(
            self.command(*words), input=text, capture_output=True, text=True, timeout=150
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def load(self, rules: str) -> None:
        """Put an nftables rule set into force."""
        self.run("nft", "--check", "-f", "-", text=rules)
        self.run("nft", "-f", "-", text=rules)

    def reaches(
        self, *ways: Way, due: Collection[Way] = (), uid: int = 0, source: str = ""
    ) -> set[Way]:
        """Which of `ways` lead to a server that answers; those `due` are waited for."""
        argument = json.dumps({"ways": ways, "due": list(due), "source": source})
        command = self.command(sys.executable, "-I", str(PROGRAM), "call", argument, uid=uid)
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=True)
        return {(protocol, address, port) for protocol, address, port in json.loads(done.stdout)}

    def look_up(self, name: str, server: str) -> str:
        """The IPv4 address that the name server gives `name`."""
        argument = json.dumps({"name": name, "server": server})
        return self.run(sys.executable, "-I", str(PROGRAM), "ask", argument).strip()


@contextmanager
def network(*names: str) -> Iterator[dict[str, Namespace]]:
    """Namespaces of these names, gone at the end with all that ran in them."""
    made = {name: Namespace(f"limpet-{os.getpid()}-{name}") for name in names}
    try:
        for one in made.values():
            subprocess.run(["ip", "netns", "add", one.name], check=True, timeout=150)
            one.run("ip", "link", "set", "lo", "up")
        yield made
    finally:
        for one in made.values():
            subprocess.run(["ip", "netns", "del", one.name], capture_output=True, timeout=150)


def join(
    one: Namespace, other: Namespace, *, ours: Iterable[str], theirs: Iterable[str], mac: str = ""
) -> None:
    """A wire between two namespaces: interfaces `to-…` with these addresses (and `mac` at ours)."""
    ends = {end: f"to-{end.name.rpartition('-')[2]}" for end in (one, other)}
    mine, yours = ends[other], ends[one]
    one.run("ip", "link", "add", mine, "type", "veth", "peer", "name", yours, "netns", other.name)
    if mac:
        one.run("ip", "link", "set", mine, "address", mac)
    for space, interface, addresses in ((one, mine, ours), (other, yours, theirs)):
        for address in addresses:
            extra = ["nodad"] if ":" in address else []
            space.run("ip", "address", "add", address, "dev", interface, *extra)
        space.run("ip", "link", "set", interface, "up")


@contextmanager
def serving(space: Namespace, *ways: Way) -> Iterator[None]:
    """Servers inside that answer everybody at `ways`."""
    command = space.command(sys.executable, "-I", str(PROGRAM), "serve", json.dumps(ways))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.terminate()
        process.wait(60)
