"""interface-kept: who uses the release before can use this one, or is asked first.

Numbered as it judges, against the release before:

1. What breaks a peer, or opens a port or a flow, needs a raised interface version: devices then
   never install it by themselves (2.4.3). limpet has no switch that would leave a port or a flow
   off until an owner wants it, so a new one is never "off by default" (5.1).
2. A release that fixes security bugs breaks nothing, within the support period, unless an issue
   that it fixes requires it and is named (5.1): who needs the fix must not have to rebuild.
3. Functions that are added are listed: nothing uses them until somebody with access calls them.

What the documents do not show (a changed meaning of the same fields) is not seen here.
"""

from collections.abc import Iterator

from limpet.errors import Rejected, Unavailable
from limpet.firmware.interface import INTERFACE_BYTES, INTERFACE_FILE, unpack_interface
from limpet.release._interface import compare_releases
from limpet.release.gate._flows import compare_flows
from limpet.release.gate._issues import find_issue, find_security_fix
from limpet.release.gate._past import load_past
from limpet.release.gate._rule import Fault, Finding, Rule, Verdict, passed
from limpet.release.gate._subject import Subject
from limpet.storage import read_bounded
from limpet.wire.release import ReleaseManifest

__all__ = ["RULE", "judge"]

_RAISE = "build it with a higher --interface-version (owners are asked then), or keep it as it was"
_SHOWN = 20


def judge(subject: Subject) -> Finding:
    """OpenAPI document and network interfaces of this build, against the release before."""
    last, new = subject.last, subject.manifest
    if not new.interface:
        raise Rejected("no-interface", "the release does not describe its interface")
    described = read_bounded(subject.tree / INTERFACE_FILE, max_bytes=INTERFACE_BYTES)
    if unpack_interface(new.interface) != described:
        raise Rejected("bad-interface", "the manifest describes another interface than the image")
    if last is None:
        return passed("the first release: nothing uses an older one")
    if not last.interface:
        raise Unavailable(f"{last.version} does not describe its interface")
    changes = compare_releases(last, new)
    flows = compare_flows(subject.last_design or subject.design, subject.design)
    broken = [one.text for one in (*changes, *flows) if one.breaking]
    opened = [one.text for one in flows if not one.breaking]
    faults = (
        *_asked_faults(last, new, [*broken, *opened]),
        *_security_faults(subject, last, broken),
    )
    added = tuple(one.text for one in changes if not one.breaking)
    known = f"{len(broken)} changes break something, {len(opened)} open something new"
    return Finding(
        Verdict.REFUSED if faults else Verdict.PASSED,
        evidence=(f"against {last.version}: {known}, {len(added)} functions are added",),
        faults=faults,
        listed=(*broken, *opened, *added)[:_SHOWN],
    )


def _asked_faults(last: ReleaseManifest, new: ReleaseManifest, texts: list[str]) -> Iterator[Fault]:
    # 1.
    if new.interface_version < last.interface_version:
        yield Fault(
            f"interface version {new.interface_version} is below {last.interface_version}",
            hint=f"build it with --interface-version {last.interface_version}, or higher",
        )
    if new.interface_version <= last.interface_version:
        yield from (Fault(text, hint=_RAISE) for text in texts)


def _security_faults(subject: Subject, last: ReleaseManifest, broken: list[str]) -> Iterator[Fault]:
    # 2.
    because = subject.manifest.because or ""
    tracker = subject.development.issue_tracker
    own = [one.id for one in load_past(subject.product)]
    fixes = [one for one in subject.commits if find_security_fix(one, own)]
    if because:
        named = {find_issue(stated, tracker) for one in fixes for stated in one.issues}
        issue = find_issue(because, tracker)
        if issue is None or issue not in named:
            yield Fault(
                f"no commit since {last.version} says that it fixes the security issue {because}",
                hint='a fix says so: "Security-Fix: …" and "Issue: #n" at the end of its message',
            )
        return
    is_fix = bool(fixes) or subject.manifest.security_counter > last.security_counter
    is_over = subject.now.date() > subject.design.support.until
    if is_fix and not is_over:
        yield from (
            Fault(
                f"it fixes security bugs, and breaks something without need: {text}",
                hint="ship the fix without this, or name the issue that requires it: --because #n",
            )
            for text in broken
        )


RULE = Rule(
    id="interface-kept",
    title="Who uses the release before can use this one, or is asked first",
    reason="An update that breaks what talks to the device teaches its owner to refuse updates.",
    statements=("R2.4.3a", "R2.4.3b", "R5.1d", "R5.1e"),
    hint=_RAISE,
    judge=judge,
)
