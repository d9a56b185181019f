"""New products: a directory that meets the baseline from its first minute.

Owns the templates and their filling in. What it makes passes `limpet product check`, its own
tests and, by the commands in its README, the release gate as it stands. Never writes into a
directory that exists, and runs nothing.
"""

from limpet.scaffold._making import NewProduct, Template, create_product

__all__ = ["NewProduct", "Template", "create_product"]
