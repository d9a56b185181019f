"""Another device stack beside ours: Home Assistant core, as it comes."""

from collections.abc import Callable, Iterator

from bench.measure import Figure

__all__ = ["compare"]


def compare(show: Callable[[str], None], *, memory: Figure, start: Figure) -> Iterator[Figure]:
    """Its figures beside ours."""
    raise NotImplementedError
