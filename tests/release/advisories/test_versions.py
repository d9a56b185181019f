"""Orders of versions: against the ecosystems' own tools, and under any text."""

import contextlib
import itertools
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.needs import need

from limpet.errors import Rejected
from limpet.release.advisories._versions import SEMVER, has_order, make_parser

ORDERED = {
    "PyPI": ["1.0.dev1", "1.0a1", "1.0rc1", "1.0", "1.0.post1", "1.0.1", "1.10", "1!0.1"],
    "Debian": ["1.0~rc1-1", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-10", "1.0.1-1", "1:0.1-1"],
    "Alpine": ["1.9-r0", "1.10-r0", "1.10-r1", "1.10.1-r0", "2.0_rc1-r0", "2.0-r0"],
    SEMVER: ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0", "1.10.0"],
    "Go": ["0.0.0-20240101000000-0123456789ab", "1.9.0", "1.10.0"],
    "RubyGems": ["1.0.a", "1.0", "1.0.1", "1.10"],
    "Maven": ["1.0-alpha-1", "1.0-rc1", "1.0", "1.0.1", "1.10"],
    "NuGet": ["1.0.0-beta", "1.0.0", "1.0.0.1", "1.10.0"],
}
REFUSED = {
    "NuGet": [":", "abc"],
    "PyPI": ["1.0 ", " 1.0", "1. 0", "latest", "2004d-x", ""],
    "Debian": ["", "v", "-1", "a1.0", "1_0", "1.0 -1"],
    SEMVER: ["1.2.3.4", "1.2.foo", "v1.2.3", "01.2.3", "1.2.3-01", ""],
}


@pytest.mark.parametrize("ecosystem", ORDERED)
def test_every_pair_of_an_ecosystem_is_in_its_order(ecosystem: str) -> None:
    parse = make_parser(ecosystem)
    for lower, higher in itertools.combinations(ORDERED[ecosystem], 2):
        assert parse(lower) < parse(higher), (lower, higher)
        assert not parse(higher) < parse(lower), (lower, higher)


@pytest.mark.parametrize(
    ("ecosystem", "text"), [(name, text) for name, texts in REFUSED.items() for text in texts]
)
def test_what_is_no_version_is_refused_and_never_guessed_at(ecosystem: str, text: str) -> None:
    with pytest.raises(Rejected) as refused:
        make_parser(ecosystem)(text)
    assert refused.value.reason == "bad-version"


def test_build_metadata_does_not_order_semantic_versions() -> None:
    parse = make_parser(SEMVER)
    one, other = parse("1.0.0+build.1"), parse("1.0.0+build.2")
    assert not one < other
    assert not other < one


def test_debian_s_order_is_that_of_dpkg() -> None:
    need("dpkg", package="dpkg", untried="its order of versions was not compared")
    parse = make_parser("Debian")
    texts = [*ORDERED["Debian"], "1.00-1", "0~0-1", "2.36-9+deb12u13", "2.36-9", "1.0+dfsg-3"]
    for one, other in itertools.permutations(texts, 2):
        command = ["dpkg", "--compare-versions", one, "lt", other]
        expected = subprocess.run(command, timeout=150, check=False).returncode == 0
        assert (parse(one) < parse(other)) is expected, (one, other)


@given(
    ecosystem=st.sampled_from([*ORDERED, "npm", "crates.io", "Ubuntu"]),
    texts=st.lists(
        st.one_of(
            st.text(max_size=30),
            st.from_regex(r"[0-9]{1,4}(\.[0-9a-z~+-]{1,6}){0,4}", fullmatch=True),
            st.just("9" * 5000),
        ),
        min_size=2,
        max_size=4,
    ),
)
def test_any_text_is_refused_or_has_its_place_in_an_order(ecosystem: str, texts: list[str]) -> None:
    parse = make_parser(ecosystem)
    taken = []
    for text in texts:
        with contextlib.suppress(Rejected):
            taken.append(parse(text))
    for one, other in itertools.product(taken, repeat=2):
        assert not (one < other and other < one)
        assert not one < one


def test_an_ecosystem_without_an_order_is_known_as_such() -> None:
    assert has_order("PyPI")
    assert not has_order("OSS-Fuzz")
