"""Which packages a device needs: from limpet's runtime and the product's app on.

Owns the walk along what each distribution requires (`Requires-Dist`), under the target's markers.
Installs nothing and looks for nothing: what is needed has to be locked, what is locked needed.
"""

from collections.abc import Iterable, Mapping

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from limpet.errors import Rejected
from limpet.release.packages._lock import Lock, Locked
from limpet.release.packages._target import Target
from limpet.release.packages._wheel import Wheel

__all__ = ["RUNTIME_NEEDS", "verify_needs"]

RUNTIME_NEEDS = (
    "cryptography>=50.0.2",
    "h11>=0.16",
    "msgspec>=0.22",
    "securesystemslib>=1.6",
    "tuf>=7.0.1",
    "urllib3>=2.7",
    "zstandard>=0.25",
)
"""What limpet's device runtime imports of others: its extra `device`."""

_RUNTIME = "limpet's device runtime"
_APP = "the product's app ([app] requires)"


def verify_needs(
    lock: Lock,
    chosen: Mapping[str, Locked],
    wheels: Mapping[str, Wheel],
    *,
    app_requires: Iterable[str],
    target: Target,
) -> None:
    """That the `chosen` packages of `lock` are all that is needed, and no more.

    Raises `Rejected("bad-lock")`, with what is missing, too old, or needed by nobody.
    """
    waiting = [(Requirement(need), _RUNTIME) for need in RUNTIME_NEEDS]
    waiting += [(Requirement(name), _APP) for name in app_requires]
    reached: set[str] = set()
    walked: set[tuple[str, str]] = set()
    while waiting:
        need, who = waiting.pop()
        name = canonicalize_name(need.name)
        if name not in chosen:
            raise Rejected("bad-lock", f"{lock.file} lacks {need}, which {who} needs")
        if not need.specifier.contains(chosen[name].version, prereleases=True):
            place, version = chosen[name].place, chosen[name].version
            raise Rejected("bad-lock", f"{place}: {name} {version}, but {who} needs {need}")
        reached.add(name)
        for extra in ("", *sorted(need.extras)):
            if (name, extra) not in walked:
                walked.add((name, extra))
                environment = {**target.environment, "extra": extra}
                waiting += [
                    (one, name)
                    for one in wheels[name].requires
                    if one.marker is None or one.marker.evaluate(environment)
                ]
    if idle := sorted(set(chosen) - reached):
        raise Rejected(
            "bad-lock",
            f"{chosen[idle[0]].place}: nothing needs {', '.join(idle)}",
            hint="remove it, or name it in [app] requires of product.toml",
        )
