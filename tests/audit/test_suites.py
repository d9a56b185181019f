"""What the audit says of suites: an older one that comes back, and honestly what is lacking."""

from dataclasses import replace

import msgspec
from tests.audit import specimens as s

from limpet.audit import Verdict
from limpet.audit.instruments.host import LogLine
from limpet.audit.judgements.updates import judge_suite_in_force, judge_suites
from limpet.crypto.suites import SuiteId


def test_a_release_that_goes_back_to_an_older_suite_fails_and_keys_are_named_honestly() -> None:
    newer = SuiteId(name="newer", version=2)
    first, second = s.manifest("1.0.0"), s.manifest("1.1.0")
    back = (msgspec.structs.replace(first, suite=newer), second)
    assert judge_suites(s.repository(releases=back)).verdict is Verdict.FAIL
    onward = s.repository(releases=(first, msgspec.structs.replace(second, suite=newer)))
    finding = judge_suites(onward)
    assert finding.verdict is Verdict.PASS
    assert "no post-quantum key" in finding.evidence
    hybrid = {
        name: replace(role, schemes=role.schemes | {"ml-dsa-65/1"})
        for name, role in onward.roles.items()
    }
    finding = judge_suites(replace(onward, roles=hybrid))
    assert "have post-quantum keys" in finding.evidence
    said = "suite newer (version 2), TLS groups x25519; OpenSSL 3.0.19 has no X25519MLKEM768"
    log = [LogLine("listening", "x"), LogLine("algorithms", "old"), LogLine("algorithms", said)]
    assert judge_suite_in_force(log).evidence == said
    assert judge_suite_in_force(log[:1]).verdict is Verdict.COULD_NOT_DETERMINE
    none = judge_suites(s.repository(releases=()))
    assert none.verdict is Verdict.COULD_NOT_DETERMINE
