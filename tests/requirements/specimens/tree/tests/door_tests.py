"""Tests of the door; named so that nobody collects them."""


def test_a_stranger_is_kept_out() -> None:
    """A stranger is kept out."""


class TestBolt:
    """Of the bolt."""

    def test_it_slides(self) -> None:
        """It slides."""
