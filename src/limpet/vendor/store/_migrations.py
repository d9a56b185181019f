"""From one version of the schema to the next, in one transaction each.

Owns the steps. A step once released never changes; the newest ends at `SCHEMA_VERSION`.
"""

from collections.abc import Mapping, Sequence

__all__ = ["MIGRATIONS"]

_TO_2 = (
    # Named rings; the canaries of before are the first.
    "ALTER TABLE rollouts RENAME COLUMN canaries TO rings",
    """UPDATE rollouts SET rings = '[{"name":"canaries","serials":' || rings || '}]'
       WHERE rings != '[]'""",
    # The health test belongs to its rollout; earlier ones ran under this.
    """ALTER TABLE rollouts ADD COLUMN test TEXT NOT NULL DEFAULT
       '{"tolerable":0.02,"intolerable":0.2,"alpha":0.01,"beta":0.1,"distrust":0}'""",
    """CREATE TABLE rings (model VARCHAR(63) NOT NULL, name VARCHAR(32) NOT NULL,
       rank INTEGER NOT NULL, PRIMARY KEY (model, name))""",
    """CREATE TABLE ring_members (serial VARCHAR(32) NOT NULL PRIMARY KEY,
       model VARCHAR(63) NOT NULL, ring VARCHAR(32) NOT NULL,
       FOREIGN KEY (model, ring) REFERENCES rings (model, name) ON DELETE CASCADE)""",
)

_TO_3 = (
    # Until now every device reported.
    "ALTER TABLE rollouts ADD COLUMN report_ppm INTEGER NOT NULL DEFAULT 1000000",
)

_TO_4 = (
    # A vendor's whole history was read each second, with the database locked.
    """CREATE INDEX attempts_failed ON attempts (manifest_sha256, serial)
       WHERE succeeded IS 0""",
)

_TO_5 = (
    # Of years of certificates the record keeps what it needs, and the number of the others.
    "ALTER TABLE devices ADD COLUMN certificates_folded INTEGER NOT NULL DEFAULT 0",
)

MIGRATIONS: Mapping[int, Sequence[str]] = {1: _TO_2, 2: _TO_3, 3: _TO_4, 4: _TO_5}
"""By the version that a step starts from; it leads to the next."""
