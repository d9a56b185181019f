"""Puts one lock file's packages, and limpet itself, into `.venv`.

Owns `.venv` and the rules by which it is trusted: its stamp is a copy of the lock
file that it was filled from, written last, so that an interruption at any line
leaves an environment that the next run recognises as unfinished and makes anew.
Must never import anything but the standard library, and never install a package
without a hash or one that would need a compiler.

Two runs at once are kept apart by an advisory lock that the kernel drops when its
holder ends, however it ends.
"""

import fcntl
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
UNFINISHED = VENV / "limpet-unfinished"
LOCKS = ("limpet", "dev")
OLDEST_PYTHON = (3, 11)
WAIT_SECONDS = 900  # for another run that installs at this moment
VENV_SECONDS = 120
INSTALL_SECONDS = 900
ERROR_LINES = 12  # of pip's output, shown when it fails


class InstallError(Exception):
    """The environment could not be made; the arguments are what is wrong, and what to do."""


def say(text: str) -> None:
    """Write one line of progress to standard error."""
    print(f"run: {text}", file=sys.stderr, flush=True)


def take_lock() -> int:
    """Hold the tree's installation lock until this process ends.

    Raises `InstallError` if another run holds it for longer than `WAIT_SECONDS`.
    """
    descriptor = os.open(ROOT / ".venv.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + WAIT_SECONDS
    announced = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not announced:
                say("waiting for another run that is installing")
                announced = True
            if time.monotonic() > deadline:
                raise InstallError(
                    f"another run has been installing for {WAIT_SECONDS} s",
                    "end it, then try again",
                ) from None
            time.sleep(0.2)
        else:
            return descriptor


def site_packages() -> Path:
    """Where the environment's interpreter looks for packages."""
    major, minor = sys.version_info[:2]
    return VENV / "lib" / f"python{major}.{minor}" / "site-packages"


def pointer() -> Path:
    """The file that makes `limpet` importable from the source tree: no build, no network."""
    return site_packages() / "limpet.pth"


def is_usable() -> bool:
    """Whether `.venv` is whole, runs, and was made by this Python for a tree at this place."""
    if UNFINISHED.exists() or not pointer().is_file():
        return False
    if pointer().read_text().strip() != str(ROOT / "src"):
        return False
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    command = [str(VENV / "bin" / "python"), "-I", "-S", "-c", probe]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=VENV_SECONDS)
    except OSError:
        return False
    return result.stdout.strip() == "{}.{}".format(*sys.version_info[:2])


def run_step(command: list[str], *, timeout: int, failure: str, hint: str) -> None:
    """Run `command` quietly; raise `InstallError` with the end of its output if it fails."""
    # An installer that obeyed the caller's PYTHONPATH would install what it finds there.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            env=clean,
        )
    except subprocess.TimeoutExpired:
        raise InstallError(f"{failure}: no end after {timeout} s", hint) from None
    if result.returncode != 0:
        lines = [line for line in result.stdout.splitlines() if line.strip()]
        print("\n".join(lines[-ERROR_LINES:]), file=sys.stderr)
        raise InstallError(failure, hint)


def make_environment() -> None:
    """Make an empty `.venv`, removing whatever is left of an unusable one."""
    for module in ("venv", "ensurepip"):  # Debian ships them apart from Python
        if importlib.util.find_spec(module) is None:
            raise InstallError(
                f"this Python has no {module}, so no virtual environment can be made",
                "as root: apt-get install python3-venv",
            )
    say(f"making .venv with Python {sys.version.split()[0]}")
    VENV.mkdir(exist_ok=True)
    UNFINISHED.touch()
    run_step(
        [sys.executable, "-I", "-m", "venv", "--clear", str(VENV)],
        timeout=VENV_SECONDS,
        failure="the virtual environment could not be made",
        hint="as root: apt-get install python3-venv; and see that the disk is not full",
    )
    UNFINISHED.touch()


def pin_count(lock: bytes) -> int:
    """How many packages a lock file names."""
    lines = lock.decode().splitlines()
    return sum(1 for line in lines if line[:1].isalnum() and "==" in line)


def install_packages(name: str, lock: bytes) -> None:
    """Install what `lock` names, each file checked against its hash, wheels only."""
    count = pin_count(lock)
    say(f"installing {count} locked packages (locks/{name}.txt)")
    if count:
        snapshot = VENV / "limpet-installing.txt"  # what we stamp is what pip read
        snapshot.write_bytes(lock)
        flags = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--quiet"]
        pip = [str(VENV / "bin" / "python"), "-I", "-m", "pip", "--disable-pip-version-check"]
        run_step(
            [*pip, "install", *flags, "--requirement", str(snapshot)],
            timeout=INSTALL_SECONDS,
            failure="the locked packages could not be installed",
            hint="is a package index within reach? pip obeys its usual settings (PIP_INDEX_URL)",
        )
        snapshot.unlink()


def write_launcher() -> None:
    """Put `limpet` on the environment's PATH, as an installed package would."""
    launcher = VENV / "bin" / "limpet"
    launcher.write_text(
        '#!/bin/sh\nexec "$(dirname -- "$(readlink -f -- "$0")")/python" -I -m limpet "$@"\n'
    )
    launcher.chmod(0o755)


def install(name: str) -> None:
    """Bring `.venv` to the state that `locks/<name>.txt` asks for.

    A changed lock is applied in place, so that programs that run from `.venv` go on
    running; anything half made is thrown away. Raises `InstallError`.
    """
    held = take_lock()
    try:
        lock = (ROOT / "locks" / f"{name}.txt").read_bytes()
        stamp = VENV / f"limpet-{name}.txt"
        if not is_usable():
            make_environment()
        elif stamp.is_file() and stamp.read_bytes() == lock:
            return  # another run did it while this one waited
        UNFINISHED.touch()
        for other in LOCKS:
            previous = VENV / f"limpet-{other}.txt"
            current = (ROOT / "locks" / f"{other}.txt").read_bytes()
            if previous.is_file() and (other == name or previous.read_bytes() != current):
                previous.unlink()
        install_packages(name, lock)
        write_launcher()
        pointer().write_text(f"{ROOT / 'src'}\n")
        stamp.write_bytes(lock)
        os.sync()
        UNFINISHED.unlink()
        say("ready")
    finally:
        os.close(held)


def main(arguments: list[str]) -> int:
    """Install the lock named on the command line; 0 done, 2 wrong usage, 3 impossible."""
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        print(f"usage: install.py {'|'.join(LOCKS)}", file=sys.stderr)
        return 2
    if sys.version_info < OLDEST_PYTHON:
        print("run: error: Python 3.11 or later is needed", file=sys.stderr)
        return 3
    try:
        install(arguments[0])
    except InstallError as error:
        print(f"run: error: {error.args[0]}\n  hint: {error.args[1]}", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"run: error: {error.strerror}: {error.filename}", file=sys.stderr)
        print("  hint: is the disk full, or the directory not yours to write?", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
