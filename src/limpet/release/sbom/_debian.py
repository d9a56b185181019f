"""The packages of a Debian system in a root file system, as dpkg recorded them.

Owns the reading of `var/lib/dpkg/status` and `etc/os-release`. A tree image has neither.
"""

import re
from collections.abc import Iterator

from packageurl import PackageURL

from limpet.errors import Rejected
from limpet.release.sbom._component import Component, Origin

__all__ = ["OS_RELEASE", "STATUS", "parse_status"]

STATUS = "var/lib/dpkg/status"
OS_RELEASE = "etc/os-release"
_MAX_PACKAGES = 15_000
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{0,127}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9.+:~-]{1,128}", re.ASCII)
_SOURCE = re.compile(rf"({_NAME.pattern})(?: \(({_VERSION.pattern})\))?", re.ASCII)
_ID = re.compile(r"[a-z0-9._-]{1,40}", re.ASCII)
_INSTALLED = "installed"


def parse_status(status: bytes, os_release: bytes) -> tuple[Component, ...]:
    """The installed packages that `status` (deb822) lists; `os_release` names the system."""
    facts = dict(line.split("=", 1) for line in _lines(os_release) if "=" in line)
    system = facts.get("ID", "debian").strip("\"'")
    number = facts.get("VERSION_ID", "").strip("\"'")
    if not _ID.fullmatch(system) or (number and not _ID.fullmatch(number)):
        raise Rejected("bad-dpkg-status", f"{OS_RELEASE} names no system")
    found: dict[str, Component] = {}
    for entry in _entries(status):
        if entry.get("status", "").split(" ")[-1:] != [_INSTALLED]:
            continue
        one = _component(entry, system, number)
        if one.reference in found:
            raise Rejected("bad-dpkg-status", f"{STATUS} lists {one.name} twice")
        found[one.reference] = one
        if len(found) > _MAX_PACKAGES:
            raise Rejected("too-large", f"{STATUS} lists more than {_MAX_PACKAGES} packages")
    return tuple(found[key] for key in sorted(found))


def _component(entry: dict[str, str], system: str, number: str) -> Component:
    name, version = entry.get("package", ""), entry.get("version", "")
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise Rejected("bad-dpkg-status", f"{STATUS}: {name[:80]!a} {version[:80]!a} is no package")
    qualifiers = {"arch": entry.get("architecture", "")}
    if number:
        qualifiers["distro"] = f"{system}-{number}"
    qualifiers["upstream"] = _upstream(entry.get("source", ""), name, version)
    kept = {key: value for key, value in qualifiers.items() if value}
    purl = PackageURL("deb", system, name, version, kept).to_string()
    return Component(name=name, version=version, purl=purl, reference=purl, origin=Origin.SYSTEM)


def _upstream(source: str, name: str, version: str) -> str:
    """The source package of dpkg's field Source, as tools write the purl's qualifier, since it is
    what advisories speak of: with its version where that is another than the binary package's
    (a rebuild, or an epoch of its own). Empty where they have both in common.
    """
    if not source:
        return ""
    if not (found := _SOURCE.fullmatch(source)):
        raise Rejected("bad-dpkg-status", f"{STATUS}: {source[:80]!a} is no source of {name}")
    if found[2] not in (None, version):
        return f"{found[1]}@{found[2]}"
    return found[1] if found[1] != name else ""


def _entries(status: bytes) -> Iterator[dict[str, str]]:
    entry: dict[str, str] = {}
    for line in [*_lines(status), ""]:
        if not line.strip():
            if entry:
                yield entry
            entry = {}
        elif found := _FIELD.fullmatch(line):
            entry[found[1].lower()] = found[2].strip()


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split("\n")
