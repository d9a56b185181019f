"""The product's design file, and what is generated from it.

Owns the frozen types of `product.toml`, the reader that turns bytes into them
or into problems with a line each, the rules that a design must meet, the
content of the label, the text of `security.txt`, the MUD file and the packet
filters. A device carries this package, so it imports the standard library and
msgspec only; it must never draw (see `limpet.vendor.factory.label`), read a
clock, or know the statements by heart: today's date and the statement ids are
parameters.
"""

from ._development import Development, RaucBundles
from ._loading import (
    MAX_PRODUCT_BYTES,
    PRODUCT_FILE,
    examine_product,
    load_product,
    read_notes,
    read_problems,
)
from ._placeholders import list_placeholders
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
    HealthCheck,
    Interface,
    Maker,
    Measure,
    Model,
    Origin,
    Ownership,
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
from .announcing import ANNOUNCEMENT_PORT, announces
from .flows import Flow, Peers, is_local_name, list_flows, list_hosts
from .label import Label, LabelClaim, parse_label_uri
from .mud import mud_url, render_mud
from .security_txt import render_security_txt

__all__ = [
    "ANNOUNCEMENT_PORT",
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
    "Development",
    "Deviation",
    "Direction",
    "Flow",
    "HealthCheck",
    "Interface",
    "Label",
    "LabelClaim",
    "Maker",
    "Measure",
    "Model",
    "Origin",
    "Ownership",
    "Peers",
    "Problem",
    "Product",
    "RaucBundles",
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
    "announces",
    "examine_product",
    "is_local_name",
    "list_flows",
    "list_hosts",
    "list_placeholders",
    "load_product",
    "mud_url",
    "parse_label_uri",
    "read_notes",
    "read_problems",
    "render_mud",
    "render_security_txt",
]
