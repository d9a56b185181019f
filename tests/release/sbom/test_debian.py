"""The packages of a Debian system, by entries as dpkg wrote them, up to what advisories match."""

from pathlib import Path

import pytest
from tests.release.advisories.records import ask, bring, ids, record, write_directory

from limpet.release.sbom import Component
from limpet.release.sbom._debian import parse_status

# Of Debian 12, shortened: a package with an epoch that its source has not, one that was only
# rebuilt, one whose version has nothing to do with its source's, and one that is its own source.
STATUS = b"""\
Package: bsdutils
Essential: yes
Status: install ok installed
Architecture: amd64
Source: util-linux (2.38.1-5+deb12u3)
Version: 1:2.38.1-5+deb12u3
Description: basic utilities from 4.4BSD-Lite
 This package contains the bare minimum of BSD utilities needed for a Debian
 system: logger, renice, script, scriptlive, scriptreplay and wall.

Package: bash
Status: install ok installed
Architecture: amd64
Source: bash (5.2.15-2)
Version: 5.2.15-2+b8
Conffiles:
 /etc/bash.bashrc 89269e1298235f1b12b4c16e4065ad0d

Package: libdevmapper1.02.1
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: lvm2 (2.03.16-2)
Version: 2:1.02.185-2

Package: mount
Status: install ok installed
Architecture: amd64
Source: util-linux
Version: 2.38.1-5+deb12u3

Package: dash
Status: install ok installed
Architecture: amd64
Version: 0.5.12-2
"""
SYSTEM = {one.name: one for one in parse_status(STATUS, b'ID=debian\nVERSION_ID="12"\n')}


@pytest.mark.parametrize(
    ("name", "upstream"),
    [
        ("bsdutils", "&upstream=util-linux%402.38.1-5%2Bdeb12u3"),
        ("bash", "&upstream=bash%405.2.15-2"),
        ("libdevmapper1.02.1", "&upstream=lvm2%402.03.16-2"),
        ("mount", "&upstream=util-linux"),
        ("dash", ""),
    ],
)
def test_the_source_and_its_version_stand_in_the_purl_where_they_differ(
    name: str, upstream: str
) -> None:
    start, release, rest = SYSTEM[name].purl.partition("distro=debian-12")
    assert start.startswith(f"pkg:deb/debian/{name}@")
    assert release
    assert rest == upstream


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("debian")

    def fixed(name: str, source: str, version: str) -> dict[str, object]:
        events = ({"introduced": "0"}, {"fixed": version})
        return record(name, source, ecosystem="Debian:12", events=events)

    bring(
        place / "store",
        write_directory(
            place / "Debian",
            fixed("OPEN-1", "util-linux", "2.38.1-5+deb12u4"),
            fixed("DONE-1", "util-linux", "2.38.1-5+deb12u3"),
            fixed("OPEN-2", "bash", "5.2.15-2+b1"),  # above the source's, below the rebuild's
            fixed("OPEN-3", "lvm2", "2.03.16-3"),
            fixed("DONE-3", "lvm2", "2.02"),
            fixed("BINARY", "bsdutils", "9"),  # nobody writes of a binary package
        ),
    )
    return place / "store"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bsdutils", {"OPEN-1"}),
        ("bash", {"OPEN-2"}),
        ("libdevmapper1.02.1", {"OPEN-3"}),
        ("mount", {"OPEN-1"}),
        ("dash", set()),
    ],
)
def test_advisories_match_by_the_source_s_name_and_version(
    store: Path, name: str, expected: set[str]
) -> None:
    lookup = ask(store, SYSTEM[name])
    assert ids(lookup) == expected
    assert not lookup.unmatched


def test_without_the_source_s_version_an_epoch_hides_a_vulnerability(store: Path) -> None:
    """Why it must stand there: the binary package's version is above every fixed one."""
    one = SYSTEM["bsdutils"]
    shorter = one.purl.partition("%402.38")[0]
    blind = Component(name=one.name, version=one.version, purl=shorter, origin=one.origin)
    assert ids(ask(store, blind)) == set()
