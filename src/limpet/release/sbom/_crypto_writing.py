"""The cryptographic inventory in CycloneDX's words (cryptoProperties, version 1.6).

Owns that mapping. What is in the inventory is `limpet.release.sbom._cryptography`'s.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cyclonedx.model import Property
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence
from cyclonedx.model.crypto import (
    AlgorithmProperties,
    CertificateProperties,
    CryptoAssetType,
    CryptoExecutionEnvironment,
    CryptoFunction,
    CryptoMode,
    CryptoPadding,
    CryptoPrimitive,
    CryptoProperties,
    ProtocolProperties,
    ProtocolPropertiesCipherSuite,
    ProtocolPropertiesType,
    RelatedCryptoMaterialProperties,
    RelatedCryptoMaterialType,
)

from limpet.crypto.suites._types import CIPHERS
from limpet.release.sbom._cryptography import (
    Certificate,
    CryptoInventory,
    Held,
    Protocol,
    PublicKey,
    Used,
)

__all__ = ["crypto_components", "crypto_edges", "settle_crypto"]


def crypto_components(inventory: CryptoInventory) -> list[Component]:
    """A component for each asset."""
    return [
        *map(_algorithm, inventory.algorithms),
        *map(_protocol, inventory.protocols),
        *map(_certificate, inventory.certificates),
        *map(_key, inventory.keys),
        *map(_held, inventory.held),
    ]


def crypto_edges(inventory: CryptoInventory) -> Mapping[str, tuple[str, ...]]:
    """What each asset uses, by references."""
    edges: dict[str, tuple[str, ...]] = {one.reference: () for one in inventory.algorithms}
    for protocol in inventory.protocols:
        parts = {*protocol.algorithms, *(ref for _, _, refs in protocol.ciphers for ref in refs)}
        edges[protocol.reference] = tuple(sorted(parts))
    for certificate in inventory.certificates:
        edges[certificate.reference] = (certificate.signature,) if certificate.signature else ()
    edges |= {key.reference: (key.algorithm,) for key in inventory.keys}
    edges |= {held.reference: (held.algorithm,) for held in inventory.held}
    return edges


def settle_crypto(written: list[dict[str, Any]]) -> None:
    """Put into order what the library leaves in none: places in any, and the two bytes that are a
    cipher suite's number in that of their text."""
    for component in written:
        if places := component.get("evidence", {}).get("occurrences"):
            places.sort(key=lambda place: str(place["location"]))
        protocol = component.get("cryptoProperties", {}).get("protocolProperties", {})
        for cipher in protocol.get("cipherSuites", ()):
            cipher["identifiers"] = _number(CIPHERS[cipher["name"]])


def _number(code: int) -> list[str]:
    """The two bytes of a cipher suite (RFC 8446, B.4), as CycloneDX writes them."""
    return [f"0x{code >> 8:02X}", f"0x{code & 255:02X}"]


def _component(
    reference: str, name: str, properties: CryptoProperties, facts: Iterable[tuple[str, str]],
    places: Iterable[str],
) -> Component:  # fmt: skip
    occurrences = [Occurrence(location=place) for place in sorted(places)]
    return Component(
        name=name,
        type=ComponentType.CRYPTOGRAPHIC_ASSET,
        bom_ref=reference,
        crypto_properties=properties,
        evidence=ComponentEvidence(occurrences=occurrences) if occurrences else None,
        properties=[Property(name=f"limpet:{fact}", value=value) for fact, value in facts],
    )


def _algorithm(used: Used) -> Component:
    one = used.algorithm
    properties = CryptoProperties(
        asset_type=CryptoAssetType.ALGORITHM,
        oid=one.oid or None,
        algorithm_properties=AlgorithmProperties(
            primitive=CryptoPrimitive(one.primitive),
            parameter_set_identifier=used.parameters or one.parameters or None,
            curve=one.curve or None,
            execution_environment=CryptoExecutionEnvironment.SOFTWARE_PLAIN_RAM,
            mode=CryptoMode(one.mode) if one.mode else None,
            padding=CryptoPadding(one.padding) if one.padding else None,
            crypto_functions=[CryptoFunction(name) for name in one.functions],
            classical_security_level=one.bits,
            nist_quantum_security_level=one.quantum,
        ),
    )
    facts = [("standard", one.standard), *(("purpose", text) for text in sorted(used.purposes))]
    return _component(used.reference, one.name, properties, facts, used.places)


def _protocol(one: Protocol) -> Component:
    properties = CryptoProperties(
        asset_type=CryptoAssetType.PROTOCOL,
        protocol_properties=ProtocolProperties(
            type=ProtocolPropertiesType.TLS,
            version="1.3",
            cipher_suites=[
                ProtocolPropertiesCipherSuite(
                    name=name,
                    algorithms=map(BomRef, references),
                    identifiers=_number(number),
                )
                for name, number, references in one.ciphers
            ],
            crypto_refs=map(BomRef, one.algorithms),
        ),
    )
    facts = [("purpose", one.use.value)]
    return _component(one.reference, f"TLS 1.3 ({one.use.value})", properties, facts, one.places)


def _certificate(one: Certificate) -> Component:
    found = one.certificate
    properties = CryptoProperties(
        asset_type=CryptoAssetType.CERTIFICATE,
        certificate_properties=CertificateProperties(
            subject_name=found.subject.rfc4514_string(),
            issuer_name=found.issuer.rfc4514_string(),
            not_valid_before=found.not_valid_before_utc,
            not_valid_after=found.not_valid_after_utc,
            signature_algorithm_ref=BomRef(one.signature) if one.signature else None,
            certificate_format="X.509",
            certificate_extension="pem",
        ),
    )
    return _component(
        one.reference, one.path, properties, [("purpose", "trusted root")], [one.path]
    )


def _key(one: PublicKey) -> Component:
    properties = CryptoProperties(
        asset_type=CryptoAssetType.RELATED_CRYPTO_MATERIAL,
        related_crypto_material_properties=RelatedCryptoMaterialProperties(
            type=RelatedCryptoMaterialType.PUBLIC_KEY,
            id=one.key_id,
            algorithm_ref=BomRef(one.algorithm),
        ),
    )
    facts = [("purpose", f"TUF role {role}") for role in one.roles]
    name = f"TUF key {one.key_id[:16]}"
    return _component(one.reference, name, properties, facts, ["trust/root.json"])


def _held(one: Held) -> Component:
    properties = CryptoProperties(
        asset_type=CryptoAssetType.RELATED_CRYPTO_MATERIAL,
        related_crypto_material_properties=RelatedCryptoMaterialProperties(
            type=RelatedCryptoMaterialType(one.kind),
            algorithm_ref=BomRef(one.algorithm),
        ),
    )
    facts = [("purpose", one.purpose), ("note", "made on the device, and not in the image")]
    return _component(one.reference, one.name, properties, facts, [one.place])
