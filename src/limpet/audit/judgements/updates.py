"""Updates: judgements over the policy, the repository, the slots and the device's log.

Pure. Cites the clause of TUF or of the draft where a bound comes from one.
"""

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime

from limpet.audit.finding import Finding, attested, failed, not_applicable, passed, undetermined
from limpet.audit.instruments.host import LogLine, Slot
from limpet.audit.instruments.policy import Planned, PolicyChanges, PolicyTheft
from limpet.audit.instruments.repository import Repository
from limpet.wire.release import ReleaseManifest
from limpet.wire.rollout import WHOLE_PPM, Plan

__all__ = [
    "judge_automatic",
    "judge_interfaces",
    "judge_intervals",
    "judge_last_check",
    "judge_mechanism",
    "judge_phases",
    "judge_refused",
    "judge_schemes",
    "judge_slots",
    "judge_suite_in_force",
    "judge_suites",
    "judge_theft",
    "judge_timing",
    "judge_turn_off",
]

# Public-key signature schemes of the TUF specification and securesystemslib; none is a MAC.
SIGNATURES = frozenset(
    {
        "ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "rsassa-pss-sha256",
        "rsassa-pss-sha384",
        "rsassa-pss-sha512",
        "ml-dsa-44/1",  # FIPS 204
        "ml-dsa-65/1",
        "ml-dsa-87/1",
    }
)
POST_QUANTUM = frozenset({"ml-dsa-44/1", "ml-dsa-65/1", "ml-dsa-87/1"})
REFUSALS = frozenset(
    {
        "bad-signature",
        "weak-key",
        "unsigned-release",
        "rollback",
        "wrong-model",
        "wrong-hardware",
        "tampered-image",
        "tampered-tree",
        "out-of-bounds",
        "withdrawn",
        "expired-metadata",
        "malformed",
        "too-large",
        "minimum-version",
    }
)
UNAUTHENTIC = frozenset(
    {"bad-signature", "weak-key", "unsigned-release", "tampered-image", "tampered-tree"}
)
FREQUENT_SECONDS = 7 * 86400  # "frequent": at least weekly
SPREAD = 1.5  # a wait around the longest interval that the design allows, over that interval
IRREGULAR = 0.02  # least spread of the waits, as a share of the longest


def judge_automatic(status: Mapping[str, object], by_design: bool | None) -> Finding:
    """Pass if updates install themselves unless the owner says otherwise (R2.4.2a)."""
    policy = status.get("policy")
    now = policy.get("automatic") if isinstance(policy, dict) else None
    if by_design is False or (by_design is None and now is False):
        return failed("automatic updates are off by default")
    if now is False:
        return undetermined("the owner of this device has turned automatic updates off")
    if now is not True:
        return undetermined("the device does not tell its update policy")
    told = "on by design and on this device" if by_design else "on, on this device"
    return passed(f"automatic updates are {told}")


def judge_turn_off(changes: PolicyChanges) -> Finding:
    """R2.4.2b is a permission: it is used, or it is not."""
    if not changes.restored:
        return failed("the policy could not be put back")
    if changes.turned_off:
        return passed("the owner turned automatic updates off and on again")
    return not_applicable("the device offers no way to turn automatic updates off")


def judge_timing(changes: PolicyChanges) -> Finding:
    """Pass if a window set by the owner was kept (R2.4.2c)."""
    if not changes.window_set:
        return failed("a maintenance window was set and not kept")
    return passed("the owner set a maintenance window; the device kept it, and gave it up again")


def judge_theft(theft: PolicyTheft) -> Finding:
    """Pass if nobody without the right changed the policy (R2.4.2d)."""
    if not theft.answers:
        return undetermined("no change was tried")
    taken = [f"{who}: {status}" for who, status in theft.answers if status < 400]
    if taken:
        return failed(f"changing the update policy was answered to {', '.join(taken)}")
    if not theft.unchanged:
        return failed("the update policy changed although every change was refused")
    told = ", ".join(f"{who} {status}" for who, status in theft.answers)
    return passed(f"changing the update policy was refused: {told}; it is unchanged")


def judge_intervals(planned: Planned, most: float) -> Finding:
    """Pass if checks are frequent and no two waits alike (R2.4.1b)."""
    seen = planned.waits
    if len(seen) < 2:
        return undetermined("the device plans no next check")
    told = ", ".join(f"{one:.1f}" for one in seen)
    if max(seen) > FREQUENT_SECONDS:
        return failed(f"next checks planned after {told} s: less often than weekly")
    if max(seen) - min(seen) < IRREGULAR * max(seen):
        return failed(f"next checks planned after {told} s: regular")
    if most and max(seen) > most * SPREAD * 1.01:
        most *= SPREAD
        return failed(f"next checks planned after {told} s, the design allows {most:.0f} s at most")
    return passed(f"the next check was planned {len(seen)} times, after {told} s")


def judge_last_check(status: Mapping[str, object], log: Sequence[LogLine] | None) -> Finding:
    """Pass if the device looks for updates, and its log does not say that it cannot (R2.4.1a)."""
    if not status.get("last_check"):
        return failed("the device has never checked for updates")
    checks = [line for line in log or () if line.role == "updater" and "check" in line.event]
    if checks and checks[-1].event == "update-check-failed":
        return failed(f"the last check for updates failed: {checks[-1].detail[:160]}")
    reason = f" ({str(status['reason'])[:80]})" if status.get("reason") else ""
    return passed(
        f"checked at {str(status['last_check'])[:19]}, runs {status.get('running')}{reason}"
    )


def judge_mechanism(repository: Repository, now: datetime) -> Finding:
    """Pass if a device finds fresh, signed updates by itself (R2.4.1a)."""
    stale = [role.name for role in repository.roles.values() if role.expires <= now]
    if stale:
        return failed(f"expired: {', '.join(stale)}")
    kinds = [n for n in repository.roles if n.startswith(("releases/", "rollout/"))]
    if len(kinds) < 2:
        return failed("the repository has no role for releases and plans")
    root = "the given root" if repository.root_is_given else "the first root shown"
    return passed(
        f"TUF {repository.spec_version} repository verified from {root}:"
        f" {len(repository.roles)} roles, {len(repository.releases)} releases, none expired"
    )


def judge_schemes(repository: Repository) -> Finding:
    """Pass if releases are signed with public-key signatures, apart from plans (R2.4.5c)."""
    roles = repository.roles
    other = {n: role.schemes - SIGNATURES for n, role in roles.items() if role.schemes - SIGNATURES}
    if other:
        listed = ", ".join(f"{name}: {', '.join(sorted(found))}" for name, found in other.items())
        return failed(f"signed with what is not a public-key signature: {listed}")
    releases = [role for name, role in roles.items() if name.startswith("releases/")]
    if not releases:
        return undetermined("the repository delegates no releases")
    online = frozenset().union(
        *(r.keys for n, r in roles.items() if n.startswith(("rollout/", "timestamp", "snapshot")))
    )
    if shared := [role.name for role in releases if role.keys & online]:
        return failed(f"{', '.join(shared)} shares a key with an online role")
    schemes = ", ".join(sorted(frozenset().union(*(role.schemes for role in releases))))
    threshold = min(role.threshold for role in releases)
    return passed(f"releases signed by {schemes}, threshold {threshold}, no key shared with online")


def judge_suite_in_force(log: Sequence[LogLine]) -> Finding:
    """Pass if the device says which algorithms it goes by, and what of them it lacks (R2.1.4)."""
    said = [line.detail for line in log if line.event == "algorithms"]
    if not said:
        return undetermined("the device's log does not say which suite is in force")
    return passed(said[-1][:300])


def judge_suites(repository: Repository) -> Finding:
    """Pass if releases say which algorithms they go by, and none brings an older set (R2.1.4)."""
    suites = [(release.version, release.suite) for release in repository.releases]
    if not suites:
        return undetermined("no release was published")
    for (_, earlier), (version, later) in itertools.pairwise(suites):
        if later.version < earlier.version:
            return failed(f"{version} carries suite {later}, older than {earlier} before it")
    version, newest = suites[-1]
    told = f"{version} carries suite {newest}; no release goes back to an older one"
    offline = [
        role for name, role in repository.roles.items() if name.startswith(("root", "releases/"))
    ]
    if all(any(scheme in POST_QUANTUM for scheme in role.schemes) for role in offline):
        return passed(f"{told}; root and releases have post-quantum keys")
    return passed(f"{told}; no post-quantum key signs root and releases")


def judge_phases(releases: Sequence[ReleaseManifest], plans: Sequence[Plan]) -> Finding:
    """Pass if no release may reach all at once, and none did (R2.4.4)."""
    if not releases:
        return undetermined("no release was published")
    at_once = [
        r.version
        for r in releases
        if r.bounds.largest_step_ppm >= WHOLE_PPM and r.bounds.minimum_duration_seconds == 0
    ]
    if at_once:
        return failed(f"release {', '.join(at_once)} may reach every device at once")
    allowed = max(r.bounds.largest_step_ppm for r in releases)
    steps = [plan.admitted_ppm - plan.previous_ppm for plan in plans if plan.release is not None]
    if any(step > allowed for step in steps):
        return failed(
            f"a plan added {max(steps) / 10_000:g} % at once, {allowed / 10_000:g} % allowed"
        )
    shares = sorted({plan.admitted_ppm for plan in plans if plan.release is not None})
    told = ", ".join(f"{share / 10_000:g} %" for share in shares) or "none yet"
    bounds = releases[-1].bounds
    return passed(
        f"{len(releases)} releases, each bounded (the last: at most"
        f" {bounds.largest_step_ppm / 10_000:g} % a step,"
        f" {bounds.minimum_duration_seconds} s at least); shares published: {told}"
    )


def judge_interfaces(releases: Sequence[ReleaseManifest]) -> Finding:
    """Pass if the interface stayed the same over all releases (R2.4.3a, R5.1d)."""
    if len(releases) < 2:
        return undetermined(f"{len(releases)} release published: nothing to compare")
    versions = {r.version: r.interface_version for r in releases}
    changes = len(set(versions.values())) - 1
    if changes == 0:
        return passed(
            f"{len(releases)} releases, interface version {next(iter(versions.values()))}"
        )
    return attested(
        f"{changes} interface changes over {len(releases)} releases, declared in the manifests"
        " so that devices hold them for the owner"
    )


def judge_slots(slots: Sequence[Slot]) -> Finding:
    """Pass if what is installed is, byte for byte, what was verified (R2.4.5a)."""
    held = [slot for slot in slots if slot.found]
    if not held:
        return undetermined("no slot holds firmware")
    wrong = [slot.name for slot in held if slot.found != slot.recorded]
    if wrong:
        return failed(f"slot {', '.join(wrong)} differs from what was verified")
    told = ", ".join(f"{slot.name}: {slot.version}" for slot in held)
    return passed(f"the installed trees have the digests that were verified ({told})")


def judge_refused(log: Sequence[LogLine]) -> Finding:
    """Pass if the device refused what was not authentic; silence shows nothing (R2.4.5b)."""
    seen: dict[str, int] = {}
    for line in log:
        for reason in REFUSALS:
            if (
                line.event == reason
                or reason in line.detail.split()[:3]
                or f"{reason}:" in line.detail
            ):
                seen[reason] = seen.get(reason, 0) + 1
    if not seen:
        return undetermined("no update was refused so far: the device was never offered a bad one")
    told = ", ".join(f"{reason} {count}" for reason, count in sorted(seen.items()))
    if not UNAUTHENTIC & seen.keys():
        return undetermined(f"refusals in the log, none for authenticity: {told}")
    return passed(f"refusals in the device's log: {told}")
