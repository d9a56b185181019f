"""components-locked: everything from outside is pinned by hash, and of a kind that is agreed on."""

from collections.abc import Iterator, Mapping

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from limpet.product import PRODUCT_FILE, load_product
from limpet.release.gate._rule import Fault, Finding, Rule, Verdict, judged
from limpet.release.gate._subject import Subject
from limpet.release.gate._vendored import find_vendored
from limpet.release.packages import LIMPET_LOCK, LOCK_FILE, PACKAGES
from limpet.release.packages._lock import Locked, load_lock
from limpet.release.sbom import Component, Origin

__all__ = ["RULE", "judge"]

_INSIDE = (Origin.OWN, Origin.BUNDLED)  # ours; or inside a package, under the package's hash
_PYPI = "pypi"
_LOCK_IT = f"take it out of app/, and pin the package in {LOCK_FILE}"
SYSTEM = "system"
"""In `component_sources`: what the runtime needs comes with the devices' operating system."""


def judge(subject: Subject) -> Finding:
    """Every component of the bill of materials, against the lock that the product builds with."""
    kinds = frozenset(subject.development.component_sources)
    carries = (subject.tree / PACKAGES).is_dir()
    if not carries and SYSTEM not in kinds:
        fault = Fault(
            "the image carries no packages, so nobody knows which ones a device would use",
            hint="build it without --without-packages; or, if they come with the devices' operating"
            f' system, declare it: "{SYSTEM}" in component_sources',
        )
        return judged((fault,))
    own = subject.product / LOCK_FILE
    lock = load_lock(own if own.exists() else LIMPET_LOCK)
    locked: dict[str, list[Locked]] = {}
    for one in lock.packages:
        locked.setdefault(one.name, []).append(one)
    outside = [one for one in subject.sbom.components if one.origin not in _INSIDE]
    name = LOCK_FILE if own.exists() else f"limpet's {LOCK_FILE}"
    faults = (
        *(fault for one in outside for fault in _faults(one, kinds, locked, name)),
        *_vendored(subject),
    )
    return Finding(
        Verdict.REFUSED if faults else Verdict.PASSED,
        evidence=(f"{len(outside)} components from outside, pinned by {name}",),
        faults=faults,
        listed=() if carries else ("what the devices' own system brings is looked at elsewhere",),
    )


def _vendored(subject: Subject) -> Iterator[Fault]:
    """What is of others, and lies where the product's own code does."""
    found = find_vendored(subject.tree, load_product(subject.tree / PRODUCT_FILE).app.module)
    for where, what in found:
        yield Fault(f"{what}: no bill lists it, no advisory is looked up", where, hint=_LOCK_IT)


def _faults(
    one: Component, kinds: frozenset[str], locked: Mapping[str, list[Locked]], lock: str
) -> Iterator[Fault]:
    named = f"{one.name} {one.version}".strip()
    if not one.purl:
        yield Fault(f"{named}: nothing says where it is from")
        return
    purl = PackageURL.from_string(one.purl)
    if purl.type not in kinds:
        yield Fault(
            f"{named} is of {purl.type}, and components may be of {', '.join(sorted(kinds))}",
            hint="name the type in component_sources of [development], or do without it",
        )
    digest = one.hashes.get("SHA-256", "")
    if not digest:
        yield Fault(f"{named} has no SHA-256 in the bill of materials")
    elif purl.type == _PYPI:
        pins = locked.get(canonicalize_name(purl.name), [])
        if not any(str(p.version) == purl.version and digest in p.hashes for p in pins):
            yield Fault(f"{named} with SHA-256 {digest[:16]}… is not what {lock} pins")


RULE = Rule(
    id="components-locked",
    title="Every component from outside is pinned by hash, and of a declared kind",
    reason="What is fetched by name only is whatever its server, or whoever took it, gives today.",
    statements=("R4e",),
    hint=f"pin it in {LOCK_FILE}: name==version --hash=sha256:…, and build again",
    judge=judge,
)
