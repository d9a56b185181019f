"""A product's source, looked at without running any of it.

Owns which code and which functions there are, and what a design file's rules want to know of
them. Reads files; must never import or start what it looks at.
"""

from ._algorithms import find_algorithms
from ._context import design_context
from ._readings import reading_finder
from ._secrets import Spot, find_secrets

__all__ = ["Spot", "design_context", "find_algorithms", "find_secrets", "reading_finder"]
