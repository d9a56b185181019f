"""The product's design file, and what is generated from it.

Owns the frozen types of `product.toml`, the reader that turns bytes into them
or into problems with a line each, the rules that a design must meet, the
content of the label, and the text of `security.txt`. A device carries this
package, so it imports the standard library and msgspec only; it must never
draw (see `limpet.vendor.factory.label`), read a clock, or know the statements
by heart: today's date and the statement ids are parameters.
"""

from ._loading import (
    MAX_PRODUCT_BYTES,
    PRODUCT_FILE,
    examine_product,
    load_product,
    read_problems,
)
from ._problem import Problem, Severity
from ._rules import Context
from ._types import (
    Acceptance,
    AfterSupport,
    AppModule,
    Authentication,
    Confinement,
    ConfinementGap,
    Credential,
    Decision,
    Decisions,
    Deviation,
    Direction,
    Interface,
    Maker,
    Measure,
    Model,
    Origin,
    Product,
    SecurityContact,
    Support,
    Threat,
    Transport,
    Uniqueness,
    Update,
    User,
    VendorServices,
    Window,
)
from .label import Label, LabelClaim, parse_label_uri
from .security_txt import render_security_txt

__all__ = [
    "MAX_PRODUCT_BYTES",
    "PRODUCT_FILE",
    "Acceptance",
    "AfterSupport",
    "AppModule",
    "Authentication",
    "Confinement",
    "ConfinementGap",
    "Context",
    "Credential",
    "Decision",
    "Decisions",
    "Deviation",
    "Direction",
    "Interface",
    "Label",
    "LabelClaim",
    "Maker",
    "Measure",
    "Model",
    "Origin",
    "Problem",
    "Product",
    "SecurityContact",
    "Severity",
    "Support",
    "Threat",
    "Transport",
    "Uniqueness",
    "Update",
    "User",
    "VendorServices",
    "Window",
    "examine_product",
    "load_product",
    "parse_label_uri",
    "read_problems",
    "render_security_txt",
]
