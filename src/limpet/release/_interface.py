"""The interface of a firmware: described at the build, and compared before it is signed.

Owns the gate: what breaks the interface is not signed as if it did not. The description is
made by the firmware's own code in a process of its own, which imports the product's app.
"""

import subprocess
import sys
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.firmware.interface import (
    INTERFACE_FILE,
    Change,
    compare_interfaces,
    describe_changes,
    read_interface,
    unpack_interface,
)
from limpet.release._current import read_target
from limpet.release.packages import PACKAGES
from limpet.storage import write_atomic
from limpet.wire.codec import decode_json
from limpet.wire.release import MANIFEST_BYTES, ReleaseManifest, manifest_path, version_key
from limpet.wire.support import support_path

__all__ = ["compare_releases", "describe_interface", "newest_before", "verify_interface"]

SECONDS = 60.0
_SAID_CHARACTERS = 300


_DESCRIBER = """\
import runpy, sys
rights = sys.argv.pop(1)
sys.path.insert(0, sys.argv[1])
if len(sys.argv) > 3:
    sys.path.append(sys.argv.pop(2))
sys.argv[:] = ["limpet.device.describe", sys.argv[2], rights]
runpy.run_module("limpet.device.describe", run_name="__main__", alter_sys=True)
"""
"""As a role starts (`limpet.device.link.launch`): runtime, packages (if any), tree."""


def describe_interface(tree: Path, rights: Path, *, runs_here: bool = True) -> bytes:
    """Put `interface.json` into the firmware tree; its bytes. The record of its processes, which
    the same code makes, goes into the file `rights`.

    A tree with packages is asked with these alone, as on a device; unless they are for another
    machine (`runs_here`): then those of this interpreter come first. Raises
    `Rejected("bad-app")` for an app that cannot be imported, `Unavailable`.
    """
    whole = tree.resolve()
    packages = [str(whole / PACKAGES)] if (whole / PACKAGES).is_dir() else []
    alone = ["-S"] if packages and runs_here else []
    words = [str(rights.resolve()), str(whole / "runtime"), *packages, str(whole)]
    command = [sys.executable, "-I", "-B", *alone, "-c", _DESCRIBER, *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"the firmware cannot be asked for its interface: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise Rejected(
            "bad-app",
            f"the firmware cannot describe its interface: {said[-1][:_SAID_CHARACTERS]}",
            hint="a device could not start this app",
        )
    write_atomic(tree / INTERFACE_FILE, done.stdout, mode=0o644)
    return done.stdout


def compare_releases(old: ReleaseManifest, new: ReleaseManifest) -> tuple[Change, ...]:
    """What `new` changes for users of `old`; nothing where one of them is not described.

    Raises `Rejected("malformed" | "too-large")`.
    """
    if not old.interface or not new.interface:
        return ()
    before, after = (read_interface(unpack_interface(one.interface)) for one in (old, new))
    return compare_interfaces(before, after)


def verify_interface(old: ReleaseManifest | None, new: ReleaseManifest) -> None:
    """That whoever uses `old` can use `new`, or that `new` says that they cannot.

    Raises `Rejected("interface-change")`.
    """
    if old is None or new.interface_version != old.interface_version:
        return
    if broken := describe_changes(compare_releases(old, new)):
        raise Rejected(
            "interface-change",
            f"{new.version} breaks the interface of {old.version}: {broken}",
            hint="build it with a higher --interface-version: owners are asked then",
        )


def newest_before(
    repository: Path, targets: dict[str, str], *, model: str, version: str
) -> ReleaseManifest | None:
    """The manifest that was published last before `version`, or None.

    `targets`: SHA-256 by path, of the signed metadata. Raises `Unavailable`, and `Rejected` for a
    file that is not the signed one.
    """
    start, end = manifest_path(model, "").removesuffix(".json"), ".json"
    support = support_path(model)  # lies beside them
    versions = [
        path.removeprefix(start).removesuffix(end)
        for path in targets
        if path.startswith(start) and path.endswith(end) and path != support
    ]
    older = [one for one in versions if version_key(one) < version_key(version)]
    if not older:
        return None
    path = manifest_path(model, max(older, key=version_key))
    data = read_target(repository, path, targets[path], max_bytes=MANIFEST_BYTES)
    return decode_json(data, ReleaseManifest, max_bytes=MANIFEST_BYTES)
