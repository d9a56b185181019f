"""What limpet takes for an https URL that somebody typed."""

from urllib.parse import urlsplit

__all__ = ["split_https_url"]


def split_https_url(url: str) -> tuple[str, str] | None:
    """The origin ("https://host:port") and the path with its query; None for all else.

    All else: another scheme, no host, a user name (a secret in a command line), a fragment (which
    no server sees), and what would have to be escaped (RFC 3986, 2).
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or parts.fragment:
        return None
    return f"https://{parts.netloc}", (parts.path or "/") + (
        f"?{parts.query}" if parts.query else ""
    )
