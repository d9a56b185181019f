"""The names of the targets, apart from the code under test: that is imported instrumented."""

__all__ = ["TARGET_NAMES"]

TARGET_NAMES = (
    "archive",
    "certificate",
    "certificate-request",
    "delta",
    "dns",
    "est",
    "group",
    "http",
    "interface",
    "json",
    "label",
    "link",
    "metadata",
    "ownership",
    "packed",
    "product",
    "query",
    "sbom",
    "suite",
)
