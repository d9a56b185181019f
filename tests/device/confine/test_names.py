"""Names are looked up by confined processes, of a real name server in a namespace of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.device.confine import resolving
from tests.device.workshop import SRC, example_product

from limpet.device.confine import _late


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and port 53 need root")
@pytest.mark.parametrize("process", ["updater", "app-dialer"])
def test_a_confined_process_finds_its_vendor_by_name(process: str, tmp_path: Path) -> None:
    (tmp_path / "slots" / "a").mkdir(parents=True)
    for role in ("app", "updater"):
        (tmp_path / role).mkdir()
    shutil.copy(example_product() / "product.toml", tmp_path / "slots" / "a")
    done = subprocess.run(
        [sys.executable, "-B", resolving.__file__, process, str(tmp_path)],
        capture_output=True, text=True, timeout=150, env={"PYTHONPATH": str(SRC.parent)},
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, resolving.GREETING.decode()), done.stderr


@pytest.mark.parametrize(
    ("text", "services"),
    [
        ("hosts: files dns", ("files", "dns")),
        ("passwd: files\n hosts:\tfiles mdns4_minimal [NOTFOUND=return] resolve # more",
         ("files", "mdns4_minimal", "resolve")),
        ("hosts: ../../evil files", ("files",)),
        ("# hosts: dns", ()),
        ("", ()),
    ],
)  # fmt: skip
def test_the_services_that_the_c_library_would_load_are_read_from_its_own_file(
    text: str, services: tuple[str, ...]
) -> None:
    assert _late.services_of("hosts", text) == services
