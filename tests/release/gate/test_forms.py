"""Block images that the gate looks into, and those that it says it cannot."""

import shutil
from pathlib import Path

import pytest
from tests.needs import needs
from tests.release.gate.bench import Bench

from limpet.cli.main import run
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.release import Form
from limpet.release.gate import Verdict

pytestmark = needs("mksquashfs", package="squashfs-tools", untried="no such form was judged")

_SQUASH = 'mksquashfs "$1" "$2" -noappend -quiet -no-progress -all-root >/dev/null\n'


def packer(bench: Bench, script: str) -> Path:
    """A vendor's own program, run with what is packed and the file to make."""
    path = bench.work / "packer"
    path.write_text(f"#!/bin/sh\nset -eu\n{script}")
    path.chmod(0o755)
    return path


def test_a_block_image_of_the_firmware_alone_is_judged_as_a_tree_is(bench: Bench) -> None:
    bench.build(form=Form.BLOCK)
    report = bench.judge()
    assert [one for one in report.judgements if one.finding.verdict is not Verdict.PASSED] == []


def test_what_lies_in_a_block_image_is_refused_by_the_rule_that_it_breaks(bench: Bench) -> None:
    bench.build(form=Form.BLOCK)
    service = "app/thermostat/service.py"
    (bench.product / service).write_text('SERVICE_PASSWORD = "th3rm0-service"\n')
    bench.build("1.1.0", "other", form=Form.BLOCK)
    (bench.product / service).unlink()
    shutil.rmtree(bench.release)
    (bench.work / "other").rename(bench.release)
    report = bench.judge()
    refused = {one.rule for one in report.judgements if one.finding.verdict is Verdict.REFUSED}
    assert refused == {"source-committed", "secrets-absent"}


@pytest.mark.parametrize(
    ("form", "script", "kind", "words"),
    [
        (
            Form.BLOCK,
            f'mkdir -p "$1/etc/init.d" "$1/usr"\n{_SQUASH}rm -r "$1/etc" "$1/usr"\n',
            Unavailable,
            "a system lies around the firmware in this image (etc, usr)",
        ),
        (
            Form.BLOCK,
            f'{_SQUASH}head -c 8192 /dev/zero >> "$2"\nprintf more >> "$2"\n',
            Unavailable,
            "something lies behind the file system",
        ),
        (
            Form.BLOCK,
            'head -c 1048576 /dev/zero > "$2"\n',
            Unavailable,
            "holds no squashfs",
        ),
        (
            Form.BLOCK,
            f'ln -s /etc/passwd "$1/app/more.py"\n{_SQUASH}rm "$1/app/more.py"\n',
            Rejected,
            "more.py",
        ),
    ],
    ids=["system", "behind it", "another file system", "link"],
)
def test_what_the_gate_cannot_look_into_whole_is_said_plainly_and_passes_nothing(
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
    form: Form,
    script: str,
    kind: type[LimpetError],
    words: str,
) -> None:
    bench.build(form=form, packer=packer(bench, script))
    status = run(["release", "check", str(bench.product), "--release", str(bench.release)])
    said = capsys.readouterr().err
    assert status == kind.exit_code
    assert words in said
    assert said.count("error:") == 1
    assert "hint:" in said or kind is Rejected
    assert not (bench.release / "gate.json").exists()
