"""What the vendor offers now: the plan, the manifest, the support statement.

Owns which targets the device asks for, and the order in which it believes them: metadata
is refreshed (`metadata`), every version is compared with the floor, the floor is made durable,
and only then is a plan looked at. Never installs, and never reads an image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from limpet.crypto.attesting import PublicKey
from limpet.crypto.suites import CURRENT, Suite
from limpet.device.updater.floor import Floor, raise_floor
from limpet.device.updater.gated import Gate
from limpet.device.updater.metadata import MetadataClient, View
from limpet.device.updater.source import Source
from limpet.errors import Rejected, Unavailable
from limpet.storage import DAMAGED_STORAGE
from limpet.wire.codec import Message, decode_json
from limpet.wire.release import MANIFEST_BYTES, manifest_path
from limpet.wire.rollout import PLAN_BYTES, Plan, PlannedRelease, PlanState, plan_path
from limpet.wire.support import SUPPORT_BYTES, SupportStatement, support_path
from limpet.wire.times import verify_made_by

__all__ = ["Offer", "Repository"]

T = TypeVar("T", bound=Message)


@dataclass(frozen=True, slots=True)
class Offer:
    """One consistent view of the repository, all of it signed as the delegations say.

    `manifest` is the file that the plan names, or None if the plan offers nothing. `floor` is
    what the device has now seen; the caller has made it durable. Nothing that it signs can have
    been made after `ends` (UTC), when its timestamp ends.
    """

    plan: Plan
    manifest: bytes | None
    support: SupportStatement | None
    floor: Floor
    ends: datetime


class Repository:
    """The client side of one model's repository."""

    def __init__(
        self,
        source: Source,
        *,
        model: str,
        directory: Path,
        trusted_root: bytes,
        suite: Suite = CURRENT,
        gate_keys: Sequence[PublicKey] = (),
    ) -> None:
        self._model = model
        self._gate = Gate(gate_keys, source, directory / "gate.json")
        self._client = MetadataClient(
            source,
            cache=directory / "metadata",
            targets=directory / "targets",
            trusted_root=trusted_root,
            suite=suite,
        )

    def look(self, floor: Floor, *, now: datetime, keep: Callable[[Floor], None]) -> Offer:
        """What is offered, verified at `now` (UTC, not before the time floor).

        `keep` makes a raised floor durable before the plan is believed. Raises `Rejected` with
        `bad-signature`, `weak-key`, `expired-metadata`, `rollback`, `malformed`, `too-large`,
        `bad-date`, `unsigned-release`, `ungated` or `bad-attestation`, and `Unavailable`.
        """
        try:
            return self._look(floor, now=now, keep=keep)
        except Unavailable as error:
            if error.reason != DAMAGED_STORAGE:
                raise
        self._client.forget()  # a cache that cannot be used: fetched anew, against the floor
        return self._look(floor, now=now, keep=keep)

    def _look(self, floor: Floor, *, now: datetime, keep: Callable[[Floor], None]) -> Offer:
        view = self._client.refresh(now)
        plan = _read(view, plan_path(self._model), Plan, PLAN_BYTES)
        support = _read(view, support_path(self._model), SupportStatement, SUPPORT_BYTES)
        if support is not None:
            verify_made_by(support.issued_at, view.ends, what="the statement of support")
        seen = raise_floor(
            floor,
            roles=view.seen(),
            signed_time=support.issued_at if support is not None else None,
        )
        keep(seen)
        if plan is None:
            raise Rejected("malformed", f"the repository has no plan for {self._model}")
        if plan.model != self._model:
            raise Rejected("wrong-model", f"the plan is for {plan.model}")
        signed = view.signed_by(f"releases/{self._model}")
        seen = raise_floor(seen, withdrawn=_withdrawn(plan), signed=signed)
        keep(seen)
        manifest = None
        if plan.release is not None:
            manifest = self._manifest(view, plan.release)
        view.forget_others()
        return Offer(plan, manifest, support, seen, ends=view.ends)

    def _manifest(self, view: View, planned: PlannedRelease) -> bytes:
        path = manifest_path(self._model, planned.version)
        info = view.info(path)
        if info is None or info.hashes.get("sha256") != planned.manifest_sha256:
            raise Rejected(
                "unsigned-release",
                f"releases/{self._model} has not signed what the plan calls {planned.version}",
            )
        self._gate.verify_passed(info.custom, manifest_sha256=planned.manifest_sha256)
        return view.read(path, max_bytes=MANIFEST_BYTES) or b""


def _withdrawn(plan: Plan) -> tuple[str, ...]:
    """Every manifest that the plan takes back, by its list or by its state."""
    named = (plan.release.manifest_sha256,) if plan.release is not None else ()
    return (*plan.withdrawn, *(named if plan.state is PlanState.WITHDRAWN else ()))


def _read(view: View, path: str, kind: type[T], max_bytes: int) -> T | None:
    data = view.read(path, max_bytes=max_bytes)
    return None if data is None else decode_json(data, kind, max_bytes=max_bytes)
