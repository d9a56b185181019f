"""The embedded front: TLS, routes, static files, and the work that the clock does.

Owns the one process of `limpet vendor serve`. It holds no state of its own: all
of it is in files and the database, so it may be ended at any time.
"""

from .app import make_app
from .service import Service, run_service

__all__ = ["Service", "make_app", "run_service"]
