"""A request to sign firmware of one model: what it may hold, and what it says in words.

Owns the rules for a release, a support statement and a revocation: the same as the repository's
when it publishes, asked here before a signature exists.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tuf.api.metadata import DelegatedRole, Metadata, TargetFile, Targets

from limpet.crypto.attesting import PublicKey
from limpet.errors import Rejected
from limpet.release._interface import verify_interface
from limpet.release._signing import LIFETIME, Revocation, gated_target
from limpet.wire.attestation import GATE_KEYS_FILE, verify_attestation
from limpet.wire.codec import decode_json
from limpet.wire.release import MANIFEST_BYTES, ReleaseManifest, manifest_path, version_key
from limpet.wire.support import SUPPORT_BYTES, SupportStatement, support_path
from limpet.wire.times import CLOCKS_DIFFER, verify_made_by

from ._chain import Published, verify_fresh
from ._request import SigningRequest, parse_role
from ._review import Review, Rule, verify_signatures
from ._words import release_lines, release_warnings

__all__ = ["CLOCK_SLACK", "review_releases"]

CLOCK_SLACK = timedelta(days=1)
"""Between the clocks of whoever asks and whoever signs."""

_REVOCATION_BYTES = 4 << 10
Line = tuple[str, str]


def review_releases(
    request: SigningRequest, published: Published, gate: Sequence[PublicKey], *, now: datetime
) -> Review:
    """Numbered as they run: 1. one role is proposed, of one model, and devices get as far as it;
    2. the subject is well-formed, of this model and not made after `now`; 3. the metadata is the
    next version, expires within a year, delegates nothing and changes the subject's path and
    nothing else; 4. a release has a new version, keeps to the interface of the one before or says
    that it does not, and does not lower the security counter; one of the keys of the `gate` let it
    pass, if there are any; 5. each signature fits. Raises `Rejected`.
    """
    # 1.
    if len(request.proposed) != 1 or set(request.current) != {"targets", *request.proposed}:
        raise Rejected("malformed", "the request is for more or less than one model's releases")
    [(role, data)] = request.proposed.items()
    model = role.removeprefix("releases/")
    current = published.role(role)
    verify_fresh(published, now)
    # 2.
    title, path, target, lines = _subject(request, model, now + CLOCKS_DIFFER)
    # 3.
    metadata: Metadata[Targets] = parse_role(role, data)  # type: ignore[assignment]
    _verify_next(metadata.signed, current, role, _expected(request, path, target), now)
    _verify_paths(published.targets, role, path)
    # 4.
    warnings: list[str] = []
    if request.kind == "release":
        manifest = decode_json(request.subject, ReleaseManifest, max_bytes=MANIFEST_BYTES)
        before = _verify_release(request, manifest, current)
        lines = release_lines(manifest, before, request.subject)
        judged, doubt = _judge(request, gate)
        lines.append(("gate", judged))
        newest = max((_version(name) for name in current.targets), default=(), key=tuple)
        warnings = [*release_warnings(manifest, before, newest), *doubt]
    elif path not in current.targets and target is None:
        raise Rejected("unknown-release", f"{title}: it is not published")
    # 5.
    rule = Rule(role, published.targets, f"targets {published.targets.version}")
    verify_signatures({role: metadata}, [rule])
    signed = metadata.signed
    ends = f"version {signed.version} of {role}, until {signed.expires:%Y-%m-%d}"
    return Review(
        title=title,
        lines=(*lines, ("metadata", ends)),
        warnings=tuple(warnings),
        proposed={role: metadata},
        rules=(rule,),
    )


def _subject(
    request: SigningRequest, model: str, latest: datetime
) -> tuple[str, str, bytes | None, list[Line]]:
    """Title, path, what lies there then, and the lines of what is no release."""
    said: ReleaseManifest | SupportStatement | Revocation
    match request.kind:
        case "release":
            said = decode_json(request.subject, ReleaseManifest, max_bytes=MANIFEST_BYTES)
            verify_made_by(said.built_at, latest, what="the build time of the release")
            path = manifest_path(model, said.version)
            title, lines = f"release {model} {said.version}", []
        case "support":
            said = decode_json(request.subject, SupportStatement, max_bytes=SUPPORT_BYTES)
            verify_made_by(said.issued_at, latest, what="the statement of support")
            path = support_path(model)
            title = f"support of {model} until {said.until:%Y-%m-%d}"
            lines = [("afterwards", said.after.value), ("owners read", said.text)]
        case "revocation":
            said = decode_json(request.subject, Revocation, max_bytes=_REVOCATION_BYTES)
            path = manifest_path(model, said.version)
            title = f"revocation of {model} {said.version}"
            lines = [("means", "devices install this version no more")]
        case _:
            raise Rejected(
                "other-kind",
                "this request changes who may sign, and signs no firmware",
                hint="limpet vendor root sign FILE --key KEY shows and signs it",
            )
    if said.model != model:
        raise Rejected("wrong-model", f"the request is for {model}, its content for {said.model}")
    target = request.subject if request.kind != "revocation" else None
    return title, path, target, lines


def _verify_next(
    offered: Targets,
    current: Targets,
    role: str,
    change: tuple[str, TargetFile | None],
    now: datetime,
) -> None:
    path, target = change
    if offered.version != current.version + 1:
        raise Rejected(
            "wrong-version",
            f"{role} would be version {offered.version}; what follows is {current.version + 1}",
            hint="ask for a request that was made from the current repository",
        )
    if not now < offered.expires <= now + LIFETIME + CLOCK_SLACK:
        raise Rejected(
            "expired-metadata",
            f"{role} would be good until {offered.expires:%Y-%m-%d}; a year is the most",
            hint="is this computer's clock right?",
        )
    expected = Targets.from_dict(current.to_dict())
    expected.version, expected.expires = offered.version, offered.expires
    expected.targets.pop(path, None)
    if target is not None:
        expected.targets[path] = target
    if offered.targets.get(path) != expected.targets.get(path):
        raise Rejected("tampered", f"{path} in the metadata is not what the request shows")
    if offered.to_dict() != expected.to_dict():
        raise Rejected("bad-metadata", f"the metadata changes more than {path}")


def _expected(
    request: SigningRequest, path: str, target: bytes | None
) -> tuple[str, TargetFile | None]:
    if target is None:
        return path, None
    gate = hashlib.sha256(request.gate).hexdigest() if request.gate else ""
    return path, gated_target(path, target, gate)


def _judge(request: SigningRequest, keys: Sequence[PublicKey]) -> tuple[str, list[str]]:
    """What the gate said, and what is to be doubted of it."""
    if not keys:
        said = "said something that you cannot check" if request.gate else "was not asked"
        doubt = "no gate that you know has judged it"
        return f"{said}: no {GATE_KEYS_FILE} beside your root of trust", [doubt]
    if not request.gate:
        raise Rejected(
            "ungated",
            "no gate has judged this release: devices would refuse it",
            hint="limpet release check PRODUCT --release OUT, and a new request",
        )
    digest = hashlib.sha256(request.subject).hexdigest()
    passed = verify_attestation(request.gate, keys, manifest_sha256=digest)
    result = passed.attestation.predicate
    when = f"{result.judged_at:%Y-%m-%d %H:%M:%S}"
    said = f"passed {len(result.passed_tests)} rules at {when} UTC, key {passed.key_id[:16]}"
    return said, _noted(result.report)


def _noted(report: dict[str, Any]) -> list[str]:
    """That the gate told something which stops nothing yet; the report says what."""
    judgements = report.get("judgements", ())
    count = sum(len(one.get("finding", {}).get("notes", ())) for one in judgements)
    return [f"the gate noted {count} to mend before a customer gets a device"] if count else []


def _verify_paths(targets: Targets, role: str, path: str) -> None:
    delegated = targets.get_delegated_role(role)
    if not isinstance(delegated, DelegatedRole) or not delegated.is_delegated_path(path):
        raise Rejected("bad-metadata", f"{path} is not a path of {role}")


def _verify_release(
    request: SigningRequest, manifest: ReleaseManifest, current: Targets
) -> ReleaseManifest | None:
    """The release before, which the current metadata signs."""
    if manifest_path(manifest.model, manifest.version) in current.targets:
        raise Rejected("already-published", f"{manifest.model} {manifest.version} is published")
    mine = version_key(manifest.version)
    older = [name for name in current.targets if () < _version(name) < mine]
    if not older:
        if request.before:
            raise Rejected("tampered", "the request shows a release before it; there is none")
        return None
    last = current.targets[max(older, key=_version)]
    if last.hashes.get("sha256") != hashlib.sha256(request.before).hexdigest():
        raise Rejected("tampered", f"the release before is not the one that is signed: {last.path}")
    before = decode_json(request.before, ReleaseManifest, max_bytes=MANIFEST_BYTES)
    verify_interface(before, manifest)
    if manifest.security_counter < before.security_counter:
        raise Rejected(
            "lower-counter",
            f"{manifest.version} has the security counter {manifest.security_counter}, and"
            f" {before.version} before it {before.security_counter}: devices would refuse it",
        )
    return before


def _version(path: str) -> tuple[int, ...]:
    """Of a manifest's path; of any other nothing."""
    name = path.rpartition("/")[2].removesuffix(".json")
    parts = name.split(".")
    return tuple(map(int, parts)) if len(parts) == 3 and all(map(str.isdigit, parts)) else ()
