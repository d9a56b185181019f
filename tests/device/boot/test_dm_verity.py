"""Boot's way through dm-verity, in a kernel that has it: user-mode Linux.


The kernel is a program (Debian's user-mode-linux); it needs no right and no emulator, and takes
two seconds. The checks are the kernel's own, on the very code that boot runs.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import msgspec
from tests.device.blocks import make_squashfs
from tests.needs import needs

import limpet
from limpet.firmware.slots import SlotRecord
from limpet.firmware.verity import append_verity

NEEDED = ("linux.uml", "insmod", "mksquashfs", "veritysetup")
pytestmark = needs(
    *NEEDED,
    package="user-mode-linux kmod squashfs-tools cryptsetup-bin",
    untried="no kernel verified a slot",
)
INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys
modules=$(echo /usr/lib/uml/modules/*/kernel)
for one in drivers/md/dm-mod drivers/md/dm-bufio drivers/md/dm-verity fs/squashfs/squashfs; do
    insmod "$modules/$one.ko"
done
mount -t devtmpfs dev /dev; mount -t tmpfs tmp /mnt; mkdir /mnt/b
mount -t tmpfs tmp /run
'{python}' -I '{program}' '{source}' '{record}' > '{out}' 2>&1
echo o > /proc/sysrq-trigger; sleep 5
"""


def noise(size: int) -> bytes:
    return b"".join(hashlib.sha256(bytes(str(i), "ascii")).digest() for i in range(size // 32))


def run_in_kernel(tmp_path: Path, image: Path, record: SlotRecord) -> list[str]:
    """What `inside_verity.py` printed, with `image` as its second disk."""
    out, init = tmp_path / "out", tmp_path / "init"
    init.write_text(
        INIT.format(
            python=sys.executable,
            program=Path(__file__).with_name("inside_verity.py"),
            source=Path(limpet.__file__).parents[1],
            record=msgspec.json.encode(record).decode(),
            out=out,
        )
    )
    init.chmod(0o755)
    kernel = ["linux.uml", "mem=256M", "rootfstype=hostfs", "rw", f"init={init}", f"ubdb={image}"]
    done = subprocess.run(
        [*kernel, "con=null", "con0=fd:0,fd:1", "quiet"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=90,
    )
    assert out.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    return out.read_text().splitlines()


def test_a_byte_that_changes_while_a_slot_runs_is_an_error_of_the_disk_and_never_content(
    tmp_path: Path,
) -> None:
    tree = tmp_path / "tree"
    (tree / "runtime").mkdir(parents=True)
    (tree / "system").mkdir()
    # Incompressible, so that the markers lie on the medium as they are.
    (tree / "runtime" / "start.py").write_bytes(noise(8192) + b"STARTED-FROM" + noise(200_000))
    (tree / "system" / "seldom").write_bytes(noise(8192) + b"SELDOM-READ" + noise(200_000))
    for name in ("app", "trust"):
        (tree / name).mkdir()
    for name in ("firmware.json", "product.toml"):
        (tree / name).write_text("x")
    image = tmp_path / "slot.img"
    make_squashfs(tree, image)
    record = SlotRecord(
        version="1.0.0",
        manifest_sha256="0" * 64,
        tree_sha256="0" * 64,
        security_counter=1,
        verity=append_verity(image),
    )
    lines = run_in_kernel(tmp_path, image, record)
    seen = {word: rest for word, _, rest in (line.partition(" ") for line in lines)}
    size = (tree / "system" / "seldom").stat().st_size
    assert seen.pop("mapper") == "True", lines
    assert seen.pop("open") == "mounted", lines
    assert seen.pop("source").startswith("/dev/mapper/limpet-b /mnt/b squashfs ro,nosuid,nodev")
    assert seen.pop("seldom") == f"{size} bytes"
    assert seen.pop("changed") == "EIO"
    assert seen.pop("others") == f"{(tree / 'runtime' / 'start.py').stat().st_size} bytes"
    assert seen.pop("mended") == f"{size} bytes", "positive control: the same block as it was"
    assert seen.pop("damaged").startswith("tampered-blocks: /mnt/b: input/output error")
    assert seen.pop("root").startswith("tampered-blocks: ")
    assert seen.pop("left") == "False False"
    assert not seen, lines
