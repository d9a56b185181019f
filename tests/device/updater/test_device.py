"""What the updater reads of its firmware before it serves."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.device.updater.bench import PRODUCT
from tests.device.updater.simulator import MODEL, NOW

from limpet.crypto.suites import CURRENT, SuiteId
from limpet.device.link.identity import DeviceIdentity
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.updater.device import load_device
from limpet.errors import Rejected
from limpet.firmware.description import FirmwareDescription
from limpet.wire.codec import encode_json


def device(root: Path, suite: SuiteId) -> Start:
    """A device's directory with firmware that says `suite` of itself."""
    slot = root / "slots" / "a"
    (slot / "trust").mkdir(parents=True)
    described = FirmwareDescription(
        model=MODEL,
        hardware_revisions=("A1",),
        version="1.0.0",
        security_counter=1,
        interface_version=1,
        built_at=NOW - timedelta(days=1),
        suite=suite,
    )
    identity = DeviceIdentity(
        maker="Example", model=MODEL, hardware_revision="A1", serial="TH-1", manufactured_at=NOW
    )
    (slot / "firmware.json").write_bytes(encode_json(described))
    (root / "identity.json").write_bytes(encode_json(identity))
    (slot / "product.toml").write_bytes(PRODUCT.read_bytes())
    for name in ("root.json", "service-root.pem"):
        (slot / "trust" / name).write_bytes(b"{}")
    return Start(role=Role.UPDATER, root=root, slot="a")


def test_firmware_that_carries_another_suite_than_it_says_does_not_start(tmp_path: Path) -> None:
    """On trial that is a fall-back: a signed description must not hide what is in force."""
    assert load_device(device(tmp_path / "sound", CURRENT.id)).description.suite == CURRENT.id
    other = SuiteId(name=CURRENT.name, version=CURRENT.version + 1)
    with pytest.raises(Rejected) as refused:
        load_device(device(tmp_path / "odd", other))
    assert refused.value.reason == "bad-suite"
