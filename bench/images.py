"""Two root file systems of Debian packages, as the ends of an update: `python -m bench.images`.

Owns the making of the pair, in a directory outside of the tree. `images.tsv` names each package
with an old and a new version: the lowest and the highest that the machine's suites offer (stable
and its security suite move apart). `--renew` writes the list anew when a version is gone.
"""

import argparse
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Pair", "load_pair"]

LIST = Path(__file__).with_name("images.tsv")
SIZE = 512 << 20
SEEDS = (
    *("systemd-sysv", "udev", "dbus", "kmod", "iproute2", "nftables", "iputils-ping", "curl"),
    *("openssh-server", "openssh-client", "ca-certificates", "python3", "python3-cryptography"),
    *("python3-yaml", "python3-requests", "bluez", "wpasupplicant", "network-manager"),
    *("tzdata", "locales", "apt", "e2fsprogs", "util-linux", "fdisk", "rsync"),
    *("vim-tiny", "less", "bash-completion", "sudo", "chrony", "bind9-dnsutils", "gnupg"),
    *("mosquitto", "avahi-daemon", "sqlite3", "strace", "tcpdump"),
    *("nginx-light", "linux-image-cloud-amd64"),
)
"""What a product might ask for; apt adds what these need."""
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/info")
_DATED = {"SOURCE_DATE_EPOCH": "1750000000", "E2FSPROGS_FAKE_TIME": "1750000000"}
_UUID = "22222222-2222-4222-8222-222222222222"


@dataclass(frozen=True, slots=True)
class Pair:
    """The images, and how many packages are in them and differ."""

    old: Path
    new: Path
    packages: int
    changed: int


def cache() -> Path:
    """Where packages and images are kept: LIMPET_BENCH_CACHE, or the user's cache."""
    default = Path.home() / ".cache" / "limpet-bench"
    return Path(os.environ.get("LIMPET_BENCH_CACHE", default))


def load_pair() -> Pair:
    """The pair, made if it is not there."""
    rows = [line.split("\t") for line in LIST.read_text().splitlines()]
    where = cache()
    images = where / "old.ext4", where / "new.ext4"
    for column, image in enumerate(images, start=1):
        if not image.exists():
            _make(image, [f"{row[0]}={row[column]}" for row in rows])
    return Pair(*images, len(rows), sum(row[1] != row[2] for row in rows))


def renew() -> None:
    """Resolve `SEEDS` for an empty system, and write each package's lowest and highest version."""
    where = cache()
    where.mkdir(parents=True, exist_ok=True)
    status = where / "no-packages"
    status.write_bytes(b"")
    archives = where / "no-archives"  # apt names no file that it has already
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    settings = (
        f"Dir::State::status={status}",
        f"Dir::Cache::archives={archives}",
        "APT::Install-Recommends=false",
    )
    options = [word for setting in settings for word in ("-o", setting)]
    asked = _read(["apt-get", *options, "--print-uris", "--yes", "install", *SEEDS])
    names = [line.split()[1].split("_")[0] for line in asked.splitlines() if line[:1] == "'"]
    offered: dict[str, set[str]] = {name: set() for name in sorted(set(names))}
    for line in _read(["apt-cache", "madison", *offered]).splitlines():
        name, version, source = (part.strip() for part in line.split("|"))
        if name in offered and source.endswith("Packages"):
            offered[name].add(version)
    lines = []
    for name, versions in offered.items():
        # A kernel's name has its version in it: two of them are two packages, not a change.
        ends = sorted(versions, key=functools.cmp_to_key(_compare))
        lines.append(f"{name}\t{ends[-1] if name.startswith('linux-') else ends[0]}\t{ends[-1]}\n")
    LIST.write_text("".join(lines))


def _compare(left: str, right: str) -> int:
    older = subprocess.run(["dpkg", "--compare-versions", left, "lt", right]).returncode == 0
    return -1 if older else int(left != right)


def _make(image: Path, packages: Sequence[str]) -> None:
    pool, tree = image.with_suffix(".debs"), image.with_suffix(".tree")
    for directory in (pool, tree):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    try:
        subprocess.run(
            ["apt-get", "download", "-qq", *packages], cwd=pool, check=True, stderr=subprocess.PIPE
        )
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.stderr.decode()}bench: a version is gone: python -m bench.images --renew")
    for package in sorted(pool.iterdir()):
        subprocess.run(["dpkg-deb", "-x", str(package), str(tree)], check=True)
    for name in _LEFT_OUT:
        shutil.rmtree(tree / name, ignore_errors=True)
    part = image.with_suffix(".part")
    part.unlink(missing_ok=True)
    features = ("-O", "^has_journal,^metadata_csum", "-E", f"hash_seed={_UUID}", "-U", _UUID)
    command = ["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-m", "0", *features, "-d", str(tree)]
    subprocess.run(
        [*command, str(part), f"{SIZE >> 20}M"], check=True, env={**os.environ, **_DATED}
    )
    part.rename(image)
    shutil.rmtree(pool)
    shutil.rmtree(tree)


def _read(command: Iterable[str]) -> str:
    return subprocess.run([*command], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.images", description=__doc__)
    parser.add_argument("--renew", action="store_true")
    if parser.parse_args().renew:
        renew()
    print(load_pair())
