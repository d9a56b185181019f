"""What a process of a device does without, though others' code would load it.

Owns the table. A name in it cannot be imported in that process; whoever imports it must be able
to do without (asyncio does without `ssl`, msgspec without `typing_extensions`). This saves a
process memory, and leaves a role that was taken without what it has no use for. Imports nothing.
"""

import sys

__all__ = ["allow", "leave_out"]

_EVERYWHERE = ("typing_extensions",)
_TLS, _OPENSSL = ("ssl",), ("ssl", "_hashlib")
_WITHOUT = {
    "limpet.device.supervisor": _OPENSSL,
    "limpet.device.accounts": _OPENSSL,
    "limpet.device.announcer": _OPENSSL,
    "limpet.device.app": _TLS,
    "limpet.device.updater": ("urllib3",),
}
"""No TLS where none is spoken, and then no OpenSSL: Python has the hashes itself. The app may
load TLS after its start (`allow`); only asyncio, which came before, then has none."""

_EMPTY = {"limpet.device.updater": (("tuf.ngclient.urllib3_fetcher", "Urllib3Fetcher"),)}
"""Modules that others' code loads for one class, which is then never used: each is that class, and
it is empty. python-tuf brings a fetcher, with all of urllib3; the updater gives it another."""


def leave_out(module: str) -> None:
    """Make the process that is about to become `module` do without; call it before all imports."""
    for name in (*_EVERYWHERE, *_WITHOUT.get(module, ())):
        if name != "_hashlib" or _has_own_hashes():
            sys.modules[name] = None  # type: ignore[assignment]  # "import halted", of the import system
    for name, wanted in _EMPTY.get(module, ()):
        sys.modules[name] = type(sys)(name)
        setattr(sys.modules[name], wanted, type(wanted, (), {}))


def allow(name: str) -> None:
    """From here on `name` can be imported after all."""
    if name in sys.modules and sys.modules[name] is None:
        del sys.modules[name]


def _has_own_hashes() -> bool:
    """Not so in a Python that its maker tied to OpenSSL's (--with-builtin-hashlib-hashes)."""
    try:
        if sys.version_info >= (3, 12):
            import _sha2  # noqa: F401
        else:
            import _sha256  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        return False
    return True
