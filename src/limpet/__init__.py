"""limpet: a secure-by-default platform for Internet-connected devices."""

__version__ = "0.1.0"
