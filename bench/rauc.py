"""What RAUC's row needs: its service on a bus of its own, keys, a bundle, an installation.

The bundle is of the format `plain`, which Debian's RAUC 1.8 installs everywhere: a squashfs
(Zstandard, blocks of 1 MiB) with the raw image in it, and a signature of it all.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

_SYSTEM = """
[system]
compatible=bench
bootloader=noop
mountprefix={work}/mnt
statusfile={work}/rauc.status
bundle-formats=+plain
[keyring]
path={work}/cert.pem
[slot.rootfs.0]
device={work}/running
type=raw
bootname=A
[slot.rootfs.1]
device={slot}
type=raw
bootname=B
"""
_MANIFEST = "[update]\ncompatible=bench\nversion=1\n[image.rootfs]\nfilename=rootfs.img\n"
_SQUASHFS = "--mksquashfs-args=-comp zstd -b 1M -processors 2"
COST = "cost.json"
"""What the installation cost, written where the client's own cost would not tell it."""


def prepare(work: Path, new: Path, slot: Path) -> None:
    """Keys, configuration, and the content of the bundle."""
    (work / "mnt").mkdir()
    (work / "running").touch()
    (work / "system.conf").write_text(_SYSTEM.format(work=work, slot=slot))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    names = ("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=bench")
    command = ["openssl", "req", "-x509", *curve, *names]
    subprocess.run(command, cwd=work, check=True, capture_output=True)
    content = work / "content"
    content.mkdir()
    (content / "manifest.raucm").write_text(_MANIFEST)
    os.link(new, content / "rootfs.img")


def bundle(work: Path, out: Path) -> None:
    """A plain bundle."""
    keys = (f"--cert={work}/cert.pem", f"--key={work}/key.pem", _SQUASHFS)
    subprocess.run(["rauc", *keys, "bundle", str(work / "content"), str(out)], check=True)


def install(work: Path, file: Path) -> None:
    """Start the service, have it install `file`, and write down what that cost."""
    bus = f"unix:path={work}/bus"
    command = ["dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address={bus}"]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus}
    try:
        assert daemon.stdout is not None
        daemon.stdout.readline()  # it listens
        command = ["rauc", f"--conf={work}/system.conf", "service", "--override-boot-slot=A"]
        with (work / "service.log").open("wb") as log:
            service = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            _await_service(environment)
            _measure(work, file, service, environment)
        finally:
            service.terminate()
            service.wait(10)
    finally:
        daemon.terminate()
        daemon.wait(10)


def _measure(
    work: Path, file: Path, service: subprocess.Popen[bytes], environment: dict[str, str]
) -> None:
    status, before = Path(f"/proc/{service.pid}/status"), _cpu(service.pid)
    client = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(["rauc", "install", str(file)], env=environment, capture_output=True)
    seconds = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{done.stdout.decode()}{done.stderr.decode()}")
    most = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    later = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = _cpu(service.pid) - before + later.ru_utime + later.ru_stime
    cost = {
        "seconds": seconds,
        "cpu_seconds": cpu - client.ru_utime - client.ru_stime,
        "kib": int(most.split()[1]),
    }
    (work / COST).write_text(json.dumps(cost))


def _await_service(environment: dict[str, str]) -> None:
    for _ in range(100):
        done = subprocess.run(["rauc", "status"], env=environment, capture_output=True)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    sys.exit(f"bench: RAUC's service does not answer: {done.stderr.decode()}")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    step, *words = sys.argv[1:]
    {"prepare": prepare, "bundle": bundle, "install": install}[step](*map(Path, words))
