"""RAUC as a board has it: its service on a bus of its own, its boot loader, and its keys."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.device.blocks import block_slots
from tests.needs import need

from limpet.firmware.devices import RaucSlots, SlotDevices

__all__ = ["RaucSystem"]

SYSTEM = """
[system]
compatible=thermostat
bootloader=custom
mountprefix={place}/mnt
statusfile={place}/rauc.status
bundle-formats=+plain

[handlers]
bootloader-custom-backend={place}/bootloader

[keyring]
path={place}/cert.pem

[slot.rootfs.0]
device={a}
type=raw
bootname=A

[slot.rootfs.1]
device={b}
type=raw
bootname=B
"""
BOOTLOADER = """#!/bin/sh
# Where the board's boot loader would keep its variables.
kept='{place}/bootloader.d'
mkdir -p "$kept"
case $1 in
    get-primary) cat "$kept/primary" 2>/dev/null || echo A ;;
    set-primary) echo "$2" > "$kept/primary" ;;
    get-state) cat "$kept/$2" 2>/dev/null || echo good ;;
    set-state) echo "$3" > "$kept/$2" ;;
    get-current) echo A ;;
esac
"""
PACKER = """#!/bin/sh
# What a product with RAUC has in its build already.
set -eu
content=$(mktemp -d)
cp "$1" "$content/rootfs.img"
printf '[update]\\ncompatible=thermostat\\nversion=1\\n[image.rootfs]\\nfilename=rootfs.img\\n' \
    > "$content/manifest.raucm"
rauc --cert='{place}/cert.pem' --key='{place}/{key}.pem' bundle "$content" "$2"
rm -r "$content"
"""


class RaucSystem:
    """RAUC's service on a bus of its own, its boot loader and its keys."""

    def __init__(self, place: Path) -> None:
        need("rauc", "dbus-daemon", package="rauc dbus", untried="RAUC installed nothing")
        self.place = place
        self.bus = f"unix:path={place}/bus"
        self.processes: list[subprocess.Popen[bytes]] = []
        for name in ("key", "foreign"):
            cert = self.keyring if name == "key" else place / "foreign-cert.pem"
            curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            names = ["-keyout", place / f"{name}.pem", "-out", cert, "-subj", f"/CN=rauc {name}"]
            make = ["openssl", "req", "-x509", *curve, "-days", "30", *names]
            subprocess.run(make, check=True, capture_output=True)

    @property
    def keyring(self) -> Path:
        """The certificate that the board's RAUC believes."""
        return self.place / "cert.pem"

    @property
    def service_log(self) -> str:
        """What the service said."""
        return (self.place / "service.log").read_text()

    @contextmanager
    def around(self, root: Path) -> Iterator[None]:
        """Turn the device at `root` into one whose slots RAUC writes, and run RAUC's service."""
        names = RaucSlots(a="rootfs.0", b="rootfs.1", bus=self.bus)
        with block_slots(root, self.place, rauc=names) as devices:
            self.start(devices)
            try:
                yield
            finally:
                self.stop()

    def start(self, devices: SlotDevices) -> None:
        """The service, on a private bus that limpet is pointed to."""
        place = self.place
        (place / "mnt").mkdir()
        (place / "system.conf").write_text(SYSTEM.format(place=place, a=devices.a, b=devices.b))
        (place / "bootloader").write_text(BOOTLOADER.format(place=place))
        (place / "bootloader").chmod(0o755)
        bus = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address={self.bus}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(bus)
        assert bus.stdout is not None
        bus.stdout.readline()  # it listens
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus}
        log = (place / "service.log").open("wb")
        command = ["rauc", f"--conf={place}/system.conf", "service", "--override-boot-slot=A"]
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))

    def packer(self, *, key: str = "key") -> Path:
        """The build's program that makes a bundle."""
        program = self.place / f"make-bundle-{key}"
        text = PACKER.format(place=self.place, key=key)
        if key == "foreign":
            text = text.replace("/cert.pem", "/foreign-cert.pem")
        program.write_text(text)
        program.chmod(0o755)
        return program

    def kept(self, name: str) -> str:
        """A variable of the boot loader."""
        file = self.place / "bootloader.d" / name
        return file.read_text().strip() if file.exists() else ""

    def stop(self) -> None:
        """End what was started."""
        for process in reversed(self.processes):
            process.terminate()
            process.wait(60)
