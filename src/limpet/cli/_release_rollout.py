"""What `limpet release build` is told of the bounds of the rollout, which are signed offline."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from limpet.errors import Rejected
from limpet.wire.release import MAX_AHEAD, Bounds, ahead_tag

__all__ = ["Rollout"]

_DAY = 86400
_EMERGENCY_DAYS = 1 / 24
_PPM = 10_000  # parts per million in one percent


@dataclass(frozen=True, slots=True)
class Rollout:
    """How soon and how fast a release may spread at most."""

    not_before: Annotated[
        datetime | None, typer.Option(help="UTC; no device installs it earlier.")
    ] = None
    minimum_days: Annotated[
        float,
        typer.Option(
            min=0.0, max=365.0, help="Days from the first device to the last, at the fastest."
        ),
    ] = 7.0
    largest_step: Annotated[
        float,
        typer.Option(min=0.0, max=100.0, help="Percent of the fleet that one step may add."),
    ] = 25.0
    emergency: Annotated[
        bool,
        typer.Option(
            "--emergency",
            help="An hour from first to last, in any steps: no --minimum-days, --largest-step.",
        ),
    ] = False
    ahead: Annotated[
        list[str] | None,
        typer.Option(help="Serial number of a device that need not wait in that row (repeatable)."),
    ] = None
    least_report: Annotated[
        float,
        typer.Option(
            min=0.0001,
            max=100.0,
            help="Percent of the fleet that reports on it at least, whatever a plan says.",
        ),
    ] = 100.0

    def bounds(self, version: str, built_at: datetime) -> Bounds:
        """As the manifest of `version` has them. Raises `Rejected("out-of-bounds")`."""
        tags = {ahead_tag(version, serial) for serial in self.ahead or ()}
        if len(tags) > MAX_AHEAD:
            raise Rejected("out-of-bounds", f"at most {MAX_AHEAD} devices can go ahead")
        days = _EMERGENCY_DAYS if self.emergency else self.minimum_days
        step = 100.0 if self.emergency else self.largest_step
        start = self.not_before.replace(tzinfo=UTC, microsecond=0) if self.not_before else built_at
        return Bounds(
            not_before=start,
            minimum_duration_seconds=round(days * _DAY),
            largest_step_ppm=round(step * _PPM),
            ahead=tuple(sorted(tags)),
            report_ppm=round(self.least_report * _PPM),
        )
