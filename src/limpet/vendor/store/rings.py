"""Rings: named groups of devices that get a release before any share of the fleet does.

Owns the tables `rings` and `ring_members`. Decides nothing.
"""

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from ._schema import ring_members, rings
from .rollouts import Ring

__all__ = ["Rings"]


class Rings:
    """The rings of one model, within one transaction."""

    def __init__(self, connection: Connection, model: str) -> None:
        self._connection, self._model = connection, model

    def put(self, name: str, *, rank: int | None = None) -> None:
        """Make the ring, or move it to `rank`; a new one without a rank goes last."""
        known = [ring for _, ring in self._ranked()]
        if rank is None and name in known:
            return
        if rank is None:
            rank = max((place for place, _ in self._ranked()), default=0) + 1
        fresh = upsert(rings).values(model=self._model, name=name, rank=rank)
        keys = ["model", "name"]
        self._connection.execute(
            fresh.on_conflict_do_update(index_elements=keys, set_={"rank": rank})
        )

    def join(self, serial: str, name: str) -> None:
        """Put a device into a ring that exists, out of any other."""
        values = {"model": self._model, "ring": name}
        fresh = upsert(ring_members).values(serial=serial, **values)
        self._connection.execute(
            fresh.on_conflict_do_update(index_elements=["serial"], set_=values)
        )

    def leave(self, serial: str) -> bool:
        """Take a device out of its ring; False if it was in none."""
        table = ring_members.c
        gone = delete(ring_members).where(table.serial == serial, table.model == self._model)
        return self._connection.execute(gone.returning(table.serial)).first() is not None

    def remove(self, name: str) -> bool:
        """Forget a ring and who was in it; False if there was none."""
        gone = delete(rings).where(rings.c.model == self._model, rings.c.name == name)
        return self._connection.execute(gone.returning(rings.c.name)).first() is not None

    def all(self) -> tuple[Ring, ...]:
        """Every ring with its members, in the order in which they go."""
        table = ring_members.c
        query = select(table.ring, table.serial).where(table.model == self._model)
        members: dict[str, list[str]] = {name: [] for _, name in self._ranked()}
        for row in self._connection.execute(query.order_by(table.serial)):
            members[row.ring].append(row.serial)
        return tuple(Ring(name, tuple(serials)) for name, serials in members.items())

    def _ranked(self) -> list[tuple[int, str]]:
        query = select(rings.c.rank, rings.c.name).where(rings.c.model == self._model)
        rows = self._connection.execute(query.order_by(rings.c.rank, rings.c.name))
        return [(int(row.rank), str(row.name)) for row in rows]
