"""The tools that `./run bench deltas` lays side by side: their command lines, and no measuring.

Owns what each tool is asked, as another team would ask it: its best level that a build can wait
for. Images are the same bytes for all; who installs onto a slot gets a loop device.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TOOLS", "Command", "Names", "Tool"]

Names = Mapping[str, str]
"""`{old}`, `{new}`: images; `{delta}`: what is sent; `{slot}`: a loop device; `{out}`: a file;
`{work}`: a directory; `{url}`: where a web server shows it."""
Command = tuple[str, ...]
_OURS = (sys.executable, "-m", "bench.apply")
_RAUC = (sys.executable, "-m", "bench.rauc")
_SWU = (sys.executable, "-m", "bench.swupdate")


def _file(names: Names) -> int:
    return Path(names["delta"]).stat().st_size


def _chunks(names: Names) -> int:
    """What casync fetches: the index, and the chunks that the old image does not have."""
    old, new = ({p.name: p for p in Path(names["work"], s).rglob("*.cacnk")} for s in ("o", "n"))
    return _file(names) + sum(new[name].stat().st_size for name in new.keys() - old.keys())


def _zck(names: Names) -> int:
    """What zchunk fetches: the header, and the chunks that the old file does not have."""
    command = ["zck_delta_size", f"{names['work']}/old.zck", names["delta"]]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Would download (\d+) of", said)
    if found is None:
        raise ValueError(f"zck_delta_size says {said!r}")
    return int(found[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """Commands with `Names` in braces; `sent` counts bytes."""

    name: str
    needs: tuple[str, ...]
    make: tuple[Command, ...]
    apply: tuple[Command, ...]
    before: tuple[Command, ...] = ()
    """What the device or the build has already: not measured."""
    into: str = "out"
    """Where the new image is then: `out` or `slot`."""
    ending: str = "delta"
    one_file: bool = False
    """Whether `{delta}` is all that `make` makes, so that an earlier one can be given."""
    whole: bool = False
    """Whether it needs no old image."""
    sent: Callable[[Names], int] = _file


TOOLS = (
    Tool(
        name="limpet, delta",
        needs=(),
        make=((*_OURS, "make", "{old}", "{new}", "{delta}"),),
        apply=((*_OURS, "apply", "{old}", "{new}", "{delta}", "{slot}"),),
        before=(),
        into="slot",
    ),
    Tool(
        name="limpet, whole",
        needs=(),
        make=((*_OURS, "pack", "{new}", "{delta}"),),
        apply=((*_OURS, "unpack", "{new}", "{delta}", "{slot}"),),
        into="slot",
        whole=True,
    ),
    Tool(
        name="bsdiff",
        needs=("bsdiff", "bspatch"),
        make=(("bsdiff", "{old}", "{new}", "{delta}"),),
        apply=(("bspatch", "{old}", "{out}", "{delta}"),),
        one_file=True,
    ),
    Tool(
        name="xdelta3 -9",
        needs=("xdelta3",),
        make=(("xdelta3", "-e", "-9", "-f", "-B", "536870912", "-s", "{old}", "{new}", "{delta}"),),
        apply=(("xdelta3", "-d", "-f", "-s", "{old}", "{delta}", "{out}"),),
        one_file=True,
    ),
    Tool(
        name="zstd -19 --patch-from",
        needs=("zstd",),
        make=(
            (
                *("zstd", "-qf", "-19", "-T2", "--long=30", "--patch-from={old}"),
                *("{new}", "-o", "{delta}"),
            ),
        ),
        apply=(("zstd", "-dqf", "--long=30", "--patch-from={old}", "{delta}", "-o", "{out}"),),
        one_file=True,
    ),
    Tool(
        name="casync",
        needs=("casync",),
        before=(("casync", "make", "--store={work}/o", "{work}/old.caibx", "{old}"),),
        make=(("casync", "make", "--store={work}/n", "{delta}", "{new}"),),
        apply=(("casync", "extract", "--store={work}/n", "--seed={old}", "{delta}", "{out}"),),
        ending="caibx",
        sent=_chunks,
    ),
    Tool(
        name="zchunk",
        needs=("zck", "zckdl", "unzck"),
        before=(("zck", "-o", "{work}/old.zck", "{old}"),),
        make=(("zck", "-o", "{delta}", "{new}"),),
        # It fetches into the directory where it is started, and keeps the name.
        apply=(
            ("env", "-C", "{work}/device", "zckdl", "-q", "-s", "{work}/old.zck", "{url}/it.zck"),
            ("sh", "-c", "unzck -c {work}/device/it.zck > {out}"),
        ),
        ending="zck",
        sent=_zck,
    ),
    Tool(
        name="RAUC, whole",
        needs=("rauc", "dbus-daemon", "mksquashfs", "openssl"),
        before=((*_RAUC, "prepare", "{work}", "{new}", "{slot}"),),
        make=((*_RAUC, "bundle", "{work}", "{delta}"),),
        apply=((*_RAUC, "install", "{work}", "{delta}"),),
        into="slot",
        ending="raucb",
        whole=True,
    ),
    Tool(
        name="SWUpdate, whole",
        needs=("swupdate", "zstd", "cpio", "openssl"),
        before=((*_SWU, "prepare", "{work}"),),
        make=(
            ("zstd", "-qf", "-15", "-T2", "{new}", "-o", "{work}/new.ext4.zst"),
            (*_SWU, "pack", "{work}", "{slot}", "{delta}"),
        ),
        apply=(("swupdate", "-H", "bench:1.0", "-k", "{work}/cert.pem", "-i", "{delta}"),),
        into="slot",
        ending="swu",
        whole=True,
    ),
)
