"""The app as a real process: started, confined, asked, hung, killed."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.device.workshop import lacking_here

import limpet
from limpet.demo.world import bear_gaps
from limpet.device.link import messages as m
from limpet.device.link.channel import Channel
from limpet.device.link.launch import child_environment, program_command
from limpet.device.link.permits import Role
from limpet.device.link.start import Start, start_arguments

EXAMPLE = Path(__file__).parents[3] / "examples" / "thermostat"
PRODUCT = """
import ctypes, os, socket, time
from pathlib import Path
from limpet.device.app import App, Access, Device, SafeWrite

class Probe:
    def __init__(self, device: Device) -> None:
        self.line = device.data / "line"
        self.line.write_bytes(b"1\\n")
        device.when_this_process_dies(SafeWrite(self.line, b"0\\n"))
        self.device = device

app = App(Probe)

@app.reading(summary="Try what a product must not do")
def attempt(probe: Probe, what: str) -> str:
    try:
        if what == "socket":
            socket.socket(socket.AF_INET).close()
        elif what == "exec":
            os.execv("/bin/true", ["true"])
        elif what == "accounts":
            (probe.device.data.parent / "accounts" / "secret").read_bytes()
        elif what == "stray":
            (probe.device.data.parent / "stray").write_bytes(b"x")
        elif what == "own":
            (probe.device.data / "own").write_bytes(b"x")
    except OSError as error:
        return type(error).__name__
    return "done"

@app.action(summary="Do nothing for a while")
def sleep(probe: Probe, seconds: float) -> bool:
    time.sleep(seconds)
    return True

@app.loop(every=0.2)
def turn(probe: Probe) -> None:
    pass

@app.on_stop
def dark(probe: Probe) -> None:
    probe.line.open("r+b").write(b"s\\n")
"""

# The app's program as it is, with shorter waits: 5 s for a call, 15 s until it gives itself up.
IMPATIENT = """
import functools
from limpet.device.app._process import serve
from limpet.device.link.permits import Role
from limpet.device.link.role import run_role

run_role(Role.APP, functools.partial(serve, call_seconds=1.0, hung_seconds=3.0))
"""

# The app's program where the system has no seccomp: what it finds is found by looking alone.
UNFILTERED = """
from limpet.device.app import _cutting
from limpet.device.app._process import serve
from limpet.device.link.permits import Role
from limpet.device.link.role import run_role

_cutting.refuse_networks = lambda: None
run_role(Role.APP, serve)
"""

OPENS = """
import os, socket
from limpet.device.app import App

def start(device):
    if os.fork() == 0:  # what the product leaves behind has no more right than it
        made = []
        for family in ("AF_INET", "AF_UNIX", "AF_NETLINK"):
            try:
                socket.socket(getattr(socket, family), socket.SOCK_DGRAM).close()
                made.append(family)
            except PermissionError:
                pass
        (device.data / "made").write_text(" ".join(made))
        os._exit(0)
    os.wait()
    return socket.create_server(("127.0.0.1", 0))

app = App(start)
"""


class Running:
    """An app's process with a supervisor and a gateway played by the test."""

    def __init__(self, root: Path, program: str) -> None:
        self.root, self.program = root, program
        self.ready: asyncio.Future[m.Ready]
        self.logged: list[m.LogEvent] = []

    async def start(self) -> None:
        self.ready = asyncio.get_running_loop().create_future()
        peers = {role: socket.socketpair() for role in (Role.SUPERVISOR, Role.GATEWAY)}
        links = {role: theirs.fileno() for role, (_, theirs) in peers.items()}
        start = Start(role=Role.APP, root=self.root, slot="a", links=links, parent=os.getpid())
        self.process = subprocess.Popen(  # noqa: ASYNC220
            program_command(start.slot_path / "runtime", self.program, start_arguments(start)),
            pass_fds=tuple(links.values()),
            env=child_environment(),
            cwd="/",
            stderr=subprocess.PIPE,
            text=True,
        )
        self.channels = {}
        self.tasks = []
        for role, (ours, theirs) in peers.items():
            theirs.close()
            channel = Channel(
                me=role, peer=Role.APP, answer=self._answer, violated=lambda *what: None
            )
            self.channels[role] = channel
            self.tasks.append(asyncio.ensure_future(channel.run(ours)))
            await channel.wait_open(timeout=30)

    async def _answer(self, caller: Role, request: m.Request) -> m.Reply:
        if isinstance(request, m.Ready):
            self.ready.set_result(request)
        elif isinstance(request, m.LogEvent):
            self.logged.append(request)
        return m.Done()

    async def until_ready(self) -> m.Ready:
        return await asyncio.wait_for(self.ready, 120)

    async def call(self, name: str, access: m.Access = m.Access.OWNER, **arguments: Any) -> Any:
        request = m.CallFunction(name=name, access=access, arguments=msgspec.json.encode(arguments))
        reply = await self.channels[Role.GATEWAY].call(request)
        return msgspec.json.decode(reply.json) if isinstance(reply, m.Answer) else reply

    async def ended(self, seconds: float = 60) -> int:
        """Its exit status, once what it said before was heard."""
        status = await asyncio.to_thread(self.process.wait, seconds)
        await asyncio.wait(self.tasks, timeout=seconds)
        return status

    def line(self) -> bytes:
        return (self.root / "app" / "line").read_bytes()


def _install(root: Path, package: str, source: Path | str) -> None:
    slot = root / "slots" / "a"
    (slot / "app").mkdir(parents=True)
    (slot / "runtime").mkdir()
    (slot / "runtime" / "limpet").symlink_to(Path(limpet.__file__).parent)
    (slot / "runtime" / "impatient.py").write_text(IMPATIENT)
    (slot / "runtime" / "unfiltered.py").write_text(UNFILTERED)
    text = (EXAMPLE / "product.toml").read_text()
    module, found = re.subn(r'(?m)^module = "thermostat"$', f'module = "{package}"', text)
    assert found == 1
    (slot / "product.toml").write_text(module)
    bear_gaps(slot / "product.toml", lacking_here())
    if isinstance(source, Path):
        shutil.copytree(source, slot / "app" / package)
    else:
        (slot / "app" / package).mkdir()
        (slot / "app" / package / "__init__.py").write_text(source)
    (root / "app").mkdir(mode=0o700)
    (root / "accounts").mkdir(mode=0o700)
    (root / "accounts" / "secret").write_bytes(b"secret")
    (root / "identity.json").write_text("{}")


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Run a coroutine with a running app of the given package; nothing stays behind."""
    processes: list[subprocess.Popen[str]] = []

    def run(
        work: Callable[[Running], Awaitable[None]],
        *,
        package: str = "probe",
        source: Path | str = PRODUCT,
        program: str = "limpet.device.app",
    ) -> None:
        _install(tmp_path, package, source)

        async def live() -> None:
            running = Running(tmp_path, program)
            await running.start()
            processes.append(running.process)
            await work(running)
            for channel in running.channels.values():
                channel.close()

        asyncio.run(live())

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.end_to_end
def test_the_thermostat_runs_as_a_confined_process_and_stops_with_its_heater_off(
    device: Callable[..., None], tmp_path: Path
) -> None:
    async def work(app: Running) -> None:
        ready = await app.until_ready()
        assert {c.mechanism for c in ready.confinement} >= {"landlock", "seccomp"}
        functions = await app.channels[Role.GATEWAY].call(m.DescribeFunctions())
        assert isinstance(functions, m.Functions)
        assert "set_target" in {f["name"] for f in msgspec.json.decode(functions.json)}
        assert (await app.call("set_target", celsius=29.5))["target"] == 29.5
        assert 0 < await app.call("temperature") < 100
        refused = await app.call("set_target", m.Access.VIEWER, celsius=20)
        assert refused.reason == "forbidden"
        refused = await app.call("set_target", celsius=99)
        assert refused.reason == "bad-arguments"
        assert "celsius" in refused.message
        await app.channels[Role.SUPERVISOR].call(m.Stop())
        assert await app.ended() == 0
        assert (tmp_path / "app" / "heater").read_bytes() == b"0\n"

    device(work, package="thermostat", source=EXAMPLE / "app" / "thermostat")


@pytest.mark.end_to_end
def test_a_product_can_write_its_own_files_and_nothing_else(device: Callable[..., None]) -> None:
    async def work(app: Running) -> None:
        await app.until_ready()
        outcomes = {
            what: await app.call("attempt", what=what)
            for what in ("own", "socket", "exec", "accounts", "stray")
        }
        assert outcomes.pop("own") == "done"
        assert set(outcomes.values()) == {"PermissionError"}

    device(work)


@pytest.mark.end_to_end
def test_an_app_that_is_killed_leaves_its_output_off(device: Callable[..., None]) -> None:
    async def work(app: Running) -> None:
        await app.until_ready()
        assert app.line() == b"1\n"
        os.kill(app.process.pid, signal.SIGKILL)
        await app.ended()
        for _ in range(3000):
            if app.line() == b"0\n":
                break
            await asyncio.sleep(0.02)
        assert app.line() == b"0\n"

    device(work)


@pytest.mark.end_to_end
def test_a_function_that_hangs_is_given_up_then_the_app_ends_itself_safely(
    device: Callable[..., None],
) -> None:
    async def work(app: Running) -> None:
        await app.until_ready()
        began = time.monotonic()
        refused = await app.call("sleep", seconds=60)
        assert refused.reason == "app-timeout"
        assert 1 <= time.monotonic() - began < 20
        health = app.channels[Role.GATEWAY]  # the gateway may not ask for health
        assert health.is_open
        assert await app.ended(60) == 1
        assert time.monotonic() - began >= 3
        assert app.process.stderr is not None
        assert "hanging" in app.process.stderr.read()
        assert app.line() == b"0\n"

    device(work, program="impatient")


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module", "cannot be imported"),
        ("app = 3", "has no `app = App"),
        ("def start(device): raise ValueError('no sensor')\n"
         "from limpet.device.app import App\napp = App(start)", "no sensor"),
    ],
)  # fmt: skip
def test_an_app_that_cannot_start_says_why_and_never_becomes_ready(
    device: Callable[..., None], source: str, said: str
) -> None:
    async def work(app: Running) -> None:
        assert await app.ended(60) == 1
        assert app.process.stderr is not None
        assert said in app.process.stderr.read()
        assert not app.ready.done()

    device(work, source=source)


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("program", "made", "said"),
    [
        (
            "limpet.device.app",
            "AF_UNIX AF_NETLINK",
            "the product opens a network while it is loaded: probe/__init__.py line 17:"
            ' return socket.create_server(("127.0.0.1", 0))',
        ),
        # The control: the attempts succeed, and the device still does not run what holds a port.
        ("unfiltered", "AF_INET AF_UNIX AF_NETLINK", "the product opens tcp port "),
    ],
)
def test_a_product_opens_no_network_while_it_is_loaded_and_is_not_run_if_it_tries(
    device: Callable[..., None], tmp_path: Path, program: str, made: str, said: str
) -> None:
    async def work(app: Running) -> None:
        assert await app.ended(60) == 1
        assert not app.ready.done()
        assert (tmp_path / "app" / "made").read_text() == made
        (told,) = [one for one in app.logged if one.event == "network-refused"]
        assert told.detail.startswith(said)
        assert told.level == "error"
        assert app.process.stderr is not None
        assert "calls out through device.https" in app.process.stderr.read()

    device(work, source=OPENS, program=program)


def test_describe_prints_the_declarations_without_a_device() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "limpet.device.app", "--describe", EXAMPLE],
        capture_output=True,
        env={"PYTHONPATH": str(Path(limpet.__file__).parents[1]), "PATH": os.environ["PATH"]},
        check=True,
    )
    names = [declaration["name"] for declaration in msgspec.json.decode(done.stdout)]
    assert names == sorted(names)
    assert {"temperature", "status", "history", "set_target", "set_schedule", "boost"} <= {*names}


def test_describe_of_a_missing_product_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "limpet.device.app", "--describe", tmp_path],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(limpet.__file__).parents[1]), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 3
    assert done.stderr.startswith("limpet: error: cannot read")
    assert "Traceback" not in done.stderr
