"""Plain files over HTTP: entity tags, conditional and range requests, cache lifetimes.

Owns GET and HEAD of the repository (RFC 9110, 13 and 14). Never lists a
directory, follows no link, and never serves a hidden or unfinished file.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from limpet.https.message import FileBody, Request, Response, problem

__all__ = ["StaticFiles", "cache_control", "parse_range"]

WHOLE_BYTES = 64 << 10
"""A file of at most this size is read at once: the timestamp may be replaced while it is sent."""

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"  # RFC 9111, 5.2.2.4: store it, and ask each time
_IMMUTABLE_NAMES = re.compile(r"(images|deltas|sboms|targets)/.+|metadata/[0-9]+\.[^/]+(/[^/]+)?")
_RANGE = re.compile(r"bytes=(?P<first>[0-9]{1,15})-(?P<last>[0-9]{0,15})")
_SUFFIX = re.compile(r"bytes=-(?P<length>[0-9]{1,15})")
_TYPES = {".json": "application/json", ".img": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """The files below `root`, under the URL path `prefix` (with a final slash)."""

    root: Path
    prefix: str

    def answer(self, request: Request) -> Response:
        """The file that the request names, a part of it, or why not."""
        if request.method not in ("GET", "HEAD"):
            return problem(405, "method-not-allowed", headers={"allow": "GET, HEAD"})
        name = request.path.removeprefix(self.prefix)
        found = self._open(name)
        if found is None:
            # The next root is asked for before it exists: nobody may cache that it does not.
            # Programs ask, every few hours, and read the status alone: no document.
            return Response(404, {"cache-control": "no-store"})
        path, size, tag, content = found
        headers = {
            "etag": tag,
            "cache-control": cache_control(name),
            "accept-ranges": "bytes",
            "content-type": _TYPES.get(path.suffix, "application/octet-stream"),
            "x-content-type-options": "nosniff",
        }
        if _names(request.headers.get("if-none-match", ""), tag):
            kept = {name: headers[name] for name in ("etag", "cache-control")}  # RFC 9110, 15.4.5
            return Response(304, kept)
        span = self._span(request, size, tag)
        if span is None:
            return Response(200, headers, _body(path, content, 0, size))
        first, last = span
        if first >= size or last < first:
            return problem(
                416, "range-not-satisfiable", headers={"content-range": f"bytes */{size}"}
            )
        headers["content-range"] = f"bytes {first}-{last}/{size}"
        return Response(206, headers, _body(path, content, first, last - first + 1))

    def _open(self, name: str) -> tuple[Path, int, str, bytes | None] | None:
        """Path, size, entity tag and (if it is small) content of a regular file, else None.

        All from one open file: what is answered is one state of it.
        """
        parts = name.split("/")
        if any(part.startswith(".") or not part for part in parts):
            return None
        path = self.root.joinpath(*parts)
        try:
            if any(parent.is_symlink() for parent in (path, *path.parents[: len(parts) - 1])):
                return None
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError):
            return None
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                return None
            small = facts.st_size <= WHOLE_BYTES
            content = os.pread(descriptor, facts.st_size, 0) if small else None
        finally:
            os.close(descriptor)
        # Every change is a new inode (write and rename), so this is a strong tag.
        tag = f'"{facts.st_ino:x}-{facts.st_mtime_ns:x}-{facts.st_size:x}"'
        return path, facts.st_size, tag, content

    def _span(self, request: Request, size: int, tag: str) -> tuple[int, int] | None:
        """First and last byte that are asked for; None: the whole file."""
        wanted = request.headers.get("range", "")
        condition = request.headers.get("if-range")
        if not wanted or (condition is not None and condition != tag):  # RFC 9110, 13.1.5
            return None
        return parse_range(wanted, size)


def parse_range(wanted: str, size: int) -> tuple[int, int] | None:
    """The one range in a Range header, both ends included; None if it is no single byte range.

    A server may ignore a Range header (RFC 9110, 14.2); several ranges are ignored, because
    answering them costs more than asking. A range past the end has `first >= size`.
    """
    if match := _RANGE.fullmatch(wanted):
        first = int(match["first"])
        last = min(int(match["last"]), size - 1) if match["last"] else size - 1
        if match["last"] and int(match["last"]) < first:
            return None  # RFC 9110, 14.1.1: invalid, hence ignored
        return first, last
    if match := _SUFFIX.fullmatch(wanted):
        length = min(int(match["length"]), size)
        return (size - length, size - 1) if length else (size, size - 1)
    return None


def cache_control(name: str) -> str:
    """How long a file of the repository may be cached: for good, but for the timestamp."""
    return IMMUTABLE if _IMMUTABLE_NAMES.fullmatch(name) else REVALIDATE


def _names(header: str, tag: str) -> bool:
    if header.strip() == "*":
        return True
    return tag in (part.strip().removeprefix("W/") for part in header.split(","))


def _body(path: Path, content: bytes | None, offset: int, length: int) -> bytes | FileBody:
    if content is None:
        return FileBody(path, offset, length)
    return content[offset : offset + length]
