"""Devices, their keys and their makers: judgements over certificates and records.

Pure.
"""

import re
from collections.abc import Set

from limpet.audit.finding import Finding, failed, not_applicable, not_yet, passed, undetermined
from limpet.audit.instruments.devices import DeviceKeys
from limpet.audit.instruments.host import KernelRandomness, NoiseSource
from limpet.audit.instruments.http import Answer
from limpet.audit.instruments.impostor import Meeting
from limpet.audit.instruments.service import Factory
from limpet.product import Product

__all__ = [
    "judge_entropy",
    "judge_factory",
    "judge_hardware_randomness",
    "judge_impostor",
    "judge_key_places",
    "judge_public_design",
]

LEAST_ENTROPY = 80  # bits of a generated credential (DESIGN, "Identity and enrollment")
DESIGN_SHARE = 0.8  # of the threats that a public document must name to count as one


def judge_factory(factory: Factory) -> Finding:
    """Pass if the factory's record has one serial and one key or certificate a device (R2.2.5a)."""
    if factory.devices == 0:
        return undetermined("the factory has made no device")
    shared = {name: n for name, n in factory.different.items() if n != factory.devices}
    if shared:
        told = ", ".join(f"{count} different {name}" for name, count in shared.items())
        return failed(f"{factory.devices} devices, {told}")
    names = " and ".join(factory.different)
    return passed(f"{factory.devices} devices made, each with its own {names}")


def judge_impostor(meeting: Meeting) -> Finding:
    """Pass if the device said nothing to a false vendor (R2.3.4)."""
    if meeting.trusting:
        return failed(
            f"{meeting.trusting} of {meeting.connections} requests went to a false vendor"
        )
    if not meeting.connections:
        return undetermined("the device's firmware did not call its vendor in time")
    if not meeting.said:
        return undetermined(
            f"{meeting.connections} connections to a false vendor were broken off, and the"
            " device's log does not say that it was for the certificate"
        )
    return passed(
        f"{meeting.connections} connections to a false vendor, all broken off at its"
        f" certificate (the device's log: {min(meeting.said, key=len)})"
    )


def judge_key_places(keys: DeviceKeys, vendor: Set[str]) -> Finding:
    """Pass if each certified key's private half is on the device, and not at the vendor (R2.5b)."""
    known = keys.certified | {key for key in keys.held if not key.startswith("locked:")}
    taken = known & vendor
    if taken:
        return failed(f"{len(taken)} of the device's private keys are at the vendor")
    absent = keys.certified - keys.held.keys()
    if absent and not any(key.startswith("locked:") for key in keys.held):
        return undetermined(f"{len(absent)} certified keys were found nowhere (sealed?)")
    return passed(
        f"{len(keys.held)} private keys on the device, none of them among the"
        f" {len(vendor)} private keys at the vendor; the making itself was not seen"
    )


def judge_entropy(product: Product) -> Finding:
    """Pass if every generated credential of the design has enough entropy (R3.1a)."""
    weak = [
        one.id
        for one in product.credentials
        if one.entropy_bits is not None and one.entropy_bits < LEAST_ENTROPY
    ]
    if weak:
        return failed(f"less than {LEAST_ENTROPY} bits of entropy: {', '.join(weak)}")
    stated = [one.entropy_bits for one in product.credentials if one.entropy_bits is not None]
    if not stated:
        return undetermined("the design states no credential's entropy")
    return passed(f"{len(stated)} generated credentials of {min(stated)} bits and more by design")


def judge_hardware_randomness(kernel: KernelRandomness, noise: NoiseSource) -> Finding:
    """Pass if the kernel has a hardware source that does not fail its test (R3.1b).

    Without one it is not feasible here.
    """
    if noise.state == "failing":
        return failed(f"the device's hardware generator fails: {noise.detail}")
    if noise.state == "healthy":
        return passed(f"the device tests its hardware generator and mixes it in: {noise.detail}")
    if kernel.hardware:
        return passed(f"the kernel's hardware generator is {kernel.hardware}")
    if kernel.processor_instruction:
        return passed("the processor's random number instruction is there for the kernel")
    return not_applicable("this host has no hardware generator")


def judge_public_design(page: Answer, product: Product) -> Finding:
    """Pass if the public page lets an expert see threats and measures (R5.4)."""
    if page.status != 200:
        return failed(f"the public security page answered {page.status}")
    text = page.body.decode("utf-8", "replace").lower()
    named = [one.id for one in product.threats if _is_named(one.id, one.description, text)]
    total = len(product.threats)
    if total and len(named) >= DESIGN_SHARE * total:
        return passed(f"the public security page names {len(named)} of {total} threats")
    return not_yet(f"the public security page names {len(named)} of {total} threats of the design")


def _is_named(name: str, description: str, text: str) -> bool:
    start = re.sub(r"\s+", " ", description.lower())[:40]
    return re.search(rf"\b{re.escape(name)}\b", text) is not None or start in text
