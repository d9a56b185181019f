"""The report as SARIF 2.1.0 (OASIS), which code hosts and editors show beside the lines.

Owns the mapping: a rule of ours is a reporting descriptor, a fault a result. What was inconclusive
is an error as well: it blocks. A note is a warning: it does not.
"""

from typing import Any
from urllib.parse import quote

import msgspec

import limpet
from limpet.release.gate._rule import Fault, Verdict
from limpet.release.gate._runner import Judgement, Report
from limpet.release.gate._scanning import IN_IMAGE
from limpet.release.sbom import SBOM_FILE

__all__ = ["render_sarif"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_KIND = {
    Verdict.PASSED: "pass",
    Verdict.REFUSED: "fail",
    Verdict.INCONCLUSIVE: "open",
    Verdict.NOT_APPLICABLE: "notApplicable",
}
_NOTE = "note"
_BASES = {
    "PRODUCT": "The directory of product.toml.",
    "IMAGE": "What the firmware's image unpacks to.",
    "RELEASE": "The directory that `release build` wrote.",
}


def render_sarif(report: Report) -> bytes:
    """The report; one result at least for each rule. The same bytes for the same report."""
    run = {
        "tool": {
            "driver": {
                "name": "limpet release check",
                "version": limpet.__version__,
                "rules": [_rule(one) for one in report.judgements],
            }
        },
        "originalUriBaseIds": {
            name: {"description": {"text": text}} for name, text in _BASES.items()
        },
        "invocations": [
            {
                "executionSuccessful": report.verdict is not Verdict.INCONCLUSIVE,
                "exitCode": report.exit_code,
                "endTimeUtc": f"{report.judged_at:%Y-%m-%dT%H:%M:%SZ}",
            }
        ],
        "properties": {
            "model": report.model,
            "version": report.version,
            "manifestSha256": report.manifest_sha256,
            "verdict": report.verdict,
        },
        "results": [
            result for index, one in enumerate(report.judgements) for result in _results(index, one)
        ],
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def _rule(one: Judgement) -> dict[str, Any]:
    return {
        "id": one.rule,
        "shortDescription": {"text": one.title},
        "fullDescription": {"text": one.reason},
        "help": {"text": one.hint},
        "properties": {"statements": list(one.statements)},
    }


def _results(index: int, one: Judgement) -> list[dict[str, Any]]:
    kind = _KIND[one.finding.verdict]
    faults = one.finding.faults or (Fault("; ".join(one.finding.evidence) or one.title),)
    results = [_result(index, one, kind, fault) for fault in faults]
    return results + [_result(index, one, _NOTE, note) for note in one.finding.notes]


def _result(index: int, one: Judgement, kind: str, fault: Fault) -> dict[str, Any]:
    fails = kind in ("fail", "open", _NOTE)
    result: dict[str, Any] = {
        "ruleId": one.rule,
        "ruleIndex": index,
        # A level says something of failures only (SARIF 3.27.10).
        "kind": "fail" if fails else kind,
        "level": "warning" if kind == _NOTE else "error" if fails else "none",
        "message": {"text": f"{fault.text} ({fault.hint})" if fault.hint else fault.text},
    }
    if kind == "open":
        result["properties"] = {"inconclusive": True}
    if fault.file:
        place: dict[str, Any] = {"artifactLocation": _locate(fault.file)}
        if fault.line:
            place["region"] = {"startLine": fault.line}
        result["locations"] = [{"physicalLocation": place}]
    return result


def _locate(file: str) -> dict[str, str]:
    """A file as a URI reference (RFC 3986): a colon or a blank of its name is encoded."""
    base = "IMAGE" if file.startswith(IN_IMAGE) else "PRODUCT"
    if file == SBOM_FILE:
        base = "RELEASE"
    return {"uri": quote(file.removeprefix(IN_IMAGE)), "uriBaseId": base}
