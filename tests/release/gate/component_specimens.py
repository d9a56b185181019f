"""Specimens of what a firmware is made of: components, vulnerabilities, secrets, cryptography."""

import base64
import json
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.release.advisories.records import Record, record
from tests.release.gate.bench import Bench
from tests.release.gate.table import specimen

from limpet.crypto.attesting import new_attesting_key
from limpet.crypto.keys import key_to_pem


def _locked(bench: Bench, name: str) -> str:
    """The version of a package that the firmware carries."""
    lines = (bench.product / "device.lock").read_text().splitlines()
    (line,) = [one for one in lines if one.startswith(f"{name}==")]
    return line.split()[0].partition("==")[2]


@specimen("components-locked", "the image carries no packages")
def a_firmware_of_whatever_the_device_has(bench: Bench) -> None:
    bench.build(packages=None)


@specimen("components-locked", "is of pypi, and components may be of deb")
def a_component_from_where_none_may_be(bench: Bench) -> None:
    bench.replace("product.toml", 'component_sources = ["pypi"]', 'component_sources = ["deb"]')
    bench.rebuild("Take Debian's packages only")


@specimen("components-locked", "is not what device.lock pins")
def a_lock_that_was_changed_after_the_build(bench: Bench) -> None:
    old = _locked(bench, "h11")
    bench.replace("device.lock", f"h11=={old}", f"h11=={old}.1")
    bench.commit("Take the next one")
    bench.restamp()


@specimen("components-locked", "no hash")
def a_lock_without_a_hash(bench: Bench) -> None:
    bench.write("device.lock", (bench.product / "device.lock").read_text() + "made-up==1.0\n")
    bench.commit("Take one more")
    bench.restamp()


@specimen("components-locked", "stands before the package h11 that the lock pins")
def a_copy_that_is_imported_before_the_locked_package(bench: Bench) -> None:
    bench.write("app/h11.py", '"""HTTP, as it was once."""\n')
    bench.rebuild("Take the h11 that we know")


@specimen("components-locked", "is of a package with a version of its own")
def a_copy_of_a_package_among_the_code(bench: Bench) -> None:
    bench.write("app/mqtt/__init__.py", '"""A client."""\n\n__version__ = "1.0.3"\n')
    bench.rebuild("Take a client along")


@specimen("components-locked", "comes with an installed package")
def a_package_that_was_installed_into_the_app(bench: Bench) -> None:
    bench.write("app/thermostat/lib/mqtt-1.0.3.dist-info/METADATA", "Metadata-Version: 2.1\n")
    bench.rebuild("Install a client")


@specimen("components-locked", "is packed: no bill of materials")
def an_archive_in_the_app(bench: Bench) -> None:
    bench.write("app/thermostat/client.whl", "PK")
    bench.rebuild("Take a wheel along")


@specimen("components-locked", "has openssl 1.1.1w compiled into it")
def a_library_that_is_compiled_into_the_app(bench: Bench) -> None:
    bench.write("app/thermostat/fast.so", "\x7fELF OpenSSL 1.1.1w  11 Sep 2023\0")
    bench.rebuild("Be fast")


@specimen("sbom-matches", "in the image, not in the bill: h11")
def a_bill_that_leaves_a_component_out(bench: Bench) -> None:
    def leave_out(bill: dict[str, Any]) -> None:
        gone = {part["bom-ref"] for part in bill["components"] if part["name"] == "h11"}
        bill["components"] = [one for one in bill["components"] if one["bom-ref"] not in gone]
        bill["dependencies"] = [one for one in bill["dependencies"] if one["ref"] not in gone]
        for one in bill["dependencies"]:
            one["dependsOn"] = [ref for ref in one.get("dependsOn", ()) if ref not in gone]

    bench.spoil_sbom(leave_out)


@specimen("sbom-matches", "it is of the image 0000")
def a_bill_of_another_image(bench: Bench) -> None:
    def rename(bill: dict[str, Any]) -> None:
        for one in bill["metadata"]["component"]["hashes"]:
            one["content"] = "0" * len(one["content"])

    bench.spoil_sbom(rename)


@specimen("vulnerabilities-addressed", "the newest advisory of PyPI")
def a_dump_that_was_old_when_it_was_brought(bench: Bench) -> None:
    bench.bring(silent=timedelta(days=40))


@specimen("vulnerabilities-addressed", "over 7 days ago")
def advisories_that_nobody_brought_for_a_week(bench: Bench) -> None:
    bench.bring(now=bench.now - timedelta(days=8))


@specimen("vulnerabilities-addressed", "EX-1 in h11")
def a_component_with_a_hole_that_has_a_fix(bench: Bench) -> None:
    fixed = {"fixed": f"{_locked(bench, 'h11')}.post1"}
    bench.bring(_record(bench, "EX-1", "h11", events=({"introduced": "0"}, fixed)))


@specimen("vulnerabilities-addressed", "nobody owns it")
def a_component_with_a_hole_that_nobody_owns(bench: Bench) -> None:
    bench.bring(_record(bench, "EX-2", "urllib3"))


@specimen("vulnerabilities-addressed", "protected_at_perimeter")
def a_hole_that_a_wall_around_the_device_shall_cover(bench: Bench) -> None:
    bench.bring(_record(bench, "EX-3", "h11"))
    bench.write("vex/ex-3.json", json.dumps(_vex(bench, "EX-3", "h11", "protected_at_perimeter")))
    bench.commit("Trust the firewall")
    bench.restamp()


def _record(bench: Bench, name: str, package: str, **more: Any) -> Record:
    return record(name, package, modified=f"{bench.now:%Y-%m-%dT%H:%M:%SZ}", **more)


def _vex(bench: Bench, name: str, package: str, justification: str) -> dict[str, Any]:
    """A CycloneDX statement that the vulnerability `name` does not matter here."""
    purl = f"pkg:pypi/{package}@{_locked(bench, package)}"
    expires = (bench.now + timedelta(days=30)).date().isoformat()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {
            "timestamp": bench.now.isoformat(),
            "authors": [{"name": "security team"}],
        },
        "vulnerabilities": [
            {
                "id": name,
                "analysis": {"state": "not_affected", "justification": justification},
                "affects": [{"ref": purl}],
                "properties": [{"name": "limpet:expires", "value": expires}],
            }
        ],
    }


# --- secrets and cryptography


@specimen("secrets-absent", "a secret written into the code")
def a_password_in_a_test(bench: Bench) -> None:
    made_up = "".join(("Xq7", "Lm2pV9", "wK4"))
    bench.write("tests/people.py", f'PASSWORD = "{made_up}"\n')
    bench.commit("Log in as somebody")
    bench.restamp()


@specimen("secrets-absent", "a private key in Base64")
def a_key_of_a_cloud_in_the_app(bench: Bench) -> None:
    key = base64.b64encode(key_to_pem(new_attesting_key())).decode()
    bench.write("app/thermostat/cloud.py", f'"""The cloud."""\n\nACCOUNT = "{key}"\n')
    bench.rebuild("Send temperatures to a cloud")


@specimen("secrets-absent", "a secret written into the file, as password")
def a_password_in_a_file_of_settings(bench: Bench) -> None:
    made_up = "".join(("Xq7", "Lm2pV9", "wK4"))
    bench.write("app/thermostat/broker.toml", f'password = "{made_up}"\n')
    bench.rebuild("Log in at a broker")


@specimen("crypto-standard", "MD5 is broken")
def an_app_that_uses_a_broken_hash(bench: Bench) -> None:
    source = '"""Sums."""\n\nimport hashlib\n\nSUM = hashlib.md5(b"").hexdigest()\n'
    bench.write("app/thermostat/sums.py", source)
    bench.rebuild("Add sums")


@specimen("crypto-standard", "hmac.new('md5')")
def an_app_that_has_a_broken_hash_by_another_name(bench: Bench) -> None:
    source = '"""Sums."""\n\nimport hmac as h\n\nSUM = h.new(bytes(16), b"", "md5").digest()\n'
    bench.write("app/thermostat/sums.py", source)
    bench.rebuild("Add sums")


@specimen("crypto-standard", "an RSA key of 1024 bits")
def an_app_that_believes_a_weak_key(bench: Bench) -> None:
    key = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    bench.write("app/thermostat/maker.pem", key.public_bytes(*form).decode())
    bench.rebuild("Believe the maker")
