"""A look that is killed (SIGKILL) after each durable step: made or not made, and nothing lost."""

import os
import signal
from pathlib import Path

import pytest
from tests.release.watch.tracker import Tracker
from tests.release.watch.workshop import Field, advisory

from limpet.release.watch import look


def killed_after(place: Field, step: str) -> None:
    """Look in a process of its own, which is killed there."""
    child = os.fork()
    if child == 0:  # pragma: no cover - another process

        def die(reached: str) -> None:
            if reached == step:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            look(place.order(), clock=place.clock, after=die)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the look has no step {step}"


@pytest.mark.parametrize("step", ["recorded", "published", "posted"])
def test_a_look_that_is_killed_loses_nothing_and_repeats_itself_whole(
    tmp_path: Path, step: str
) -> None:
    tracker = Tracker(tmp_path)
    try:
        place = Field(tmp_path)
        place.publish("1.0.0", "parser@1.0")
        place.learn()
        place.look()
        before = place.record()
        place.clock.pass_seconds(60)
        place.learn(advisory())
        place.webhook = tracker.webhook()
        killed_after(place, step)
        record = place.record()  # whole, whatever it says
        assert (record == before) is (step == "recorded")
        looked = place.look()
        assert [one.advisory for one in looked.entries] == ["PYSEC-1"]
        assert looked.entries[0].opened_at == place.clock()
        assert place.record().open == {"critical": 1}
        assert looked.undelivered == 0
        posted = {str(one["id"]) for one in tracker.notes}
        assert posted == {looked.entries[0].id}
        assert len(tracker.notes) == (2 if step == "posted" else 1)  # at least once
        assert all(one == tracker.notes[0] for one in tracker.notes), "and known again by all of it"
    finally:
        tracker.close()
