"""tuf-conformance, brought for a run: never committed, and only as it was pinned.

Owns where it comes from and that it is what was looked at: a digest over every file of its
package. `LIMPET_TUF_CONFORMANCE` names a checkout or a git directory of it; else the user's
cache is looked into; else it is fetched by git. No registry of packages has it.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from limpet.errors import Rejected, Unavailable

__all__ = ["CASES", "bring_suite"]

HOME = "https://github.com/theupdateframework/tuf-conformance"
COMMIT = "eec841c186f81f2d9d8d30460c7e7deefa615f9e"  # of its main branch, which calls itself 2.4.0
DIGEST = "4d1fa4a68fd32c4a4b4140ea1f582c4f0766d202ffb923737605458444c54492"
CASES = 113
PACKAGE = "tuf_conformance"
PATIENCE = 60.0  # seconds, for git
VARIABLE = "LIMPET_TUF_CONFORMANCE"


def bring_suite(directory: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Copy the suite into `directory`, which gets its package.

    Raises `Unavailable` where it is neither here nor to be fetched, `Rejected` if it is another.
    """
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = cache / "limpet" / f"tuf-conformance-{COMMIT[:12]}"
    given = Path(environment[VARIABLE]) if environment.get(VARIABLE) else None
    source = given or (kept if kept.is_dir() else None)
    if source is None:
        source = kept.with_suffix(".git")
        _fetch(source)
    if (source / PACKAGE).is_dir():
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source / PACKAGE, directory / PACKAGE, ignore=skip)
    else:
        packed = _git(source, "archive", COMMIT, PACKAGE)
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(directory, filter="data")
    found = digest_of(directory / PACKAGE)
    if found != DIGEST:
        raise Rejected("tampered", f"the suite in {source} is not the pinned one: {found}")
    return directory


def digest_of(package: Path) -> str:
    """SHA-256 over name and SHA-256 of every file, in order of names."""
    files = sorted(path for path in package.rglob("*") if path.is_file())
    lines = (
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(package).as_posix()}\n"
        for path in files
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _fetch(repository: Path) -> None:
    if not repository.is_dir():
        repository.mkdir(parents=True)
        _git(repository, "init", "--quiet", "--bare")
    _git(repository, "fetch", "--quiet", "--depth=1", HOME, COMMIT)


def _git(repository: Path, *words: str) -> bytes:
    command = ["git", "--git-dir", str(repository), *words]
    quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, env=quiet)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"git {words[0]}: {error}") from error
    if done.returncode != 0:
        raise Unavailable(f"git {words[0]}: {done.stderr.decode(errors='replace').strip()[:300]}")
    return done.stdout
