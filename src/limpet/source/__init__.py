"""A product's source, looked at without running any of it.

Owns which code and which functions there are, and what a design file's rules want to know of
them. Reads files; must never import or start what it looks at.
"""

from ._context import design_context
from ._readings import reading_finder

__all__ = ["design_context", "reading_finder"]
