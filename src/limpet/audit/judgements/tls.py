"""What a TLS server may accept: judgements over surveys.

Pure. The bounds are named here with their source; raising one is an edit of a line.
"""

from collections.abc import Mapping, Sequence

from limpet.audit.finding import Finding, Verdict, failed, passed, undetermined
from limpet.audit.instruments.certificates import Shown
from limpet.audit.instruments.hello import (
    GROUPS,
    LEGACY_SUITES,
    SUITES,
    Reply,
    Version,
)
from limpet.audit.instruments.tls import PlainAnswer, TlsSurvey, Trust
from limpet.crypto.certificates import self_made_name

__all__ = [
    "judge_agility",
    "judge_algorithms",
    "judge_device_trust",
    "judge_encryption",
    "judge_plain_text",
    "judge_randoms",
    "judge_serial",
    "judge_strength",
    "judge_trust",
    "judge_unique_keys",
]

OLD = (Version.SSL_3_0, Version.TLS_1_0, Version.TLS_1_1)  # deprecated by RFC 8996 and RFC 7568
MINIMUM_BITS = 112  # NIST SP 800-57 part 1 rev. 5, table 4: acceptable through 2030
HASHES = frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512", ""})
CCM_8 = 0x1305  # a tag of 64 bits; RFC 8446, 9.1 does not ask for it, IANA: not recommended
FORWARD_SECRET = frozenset(s for s, name in LEGACY_SUITES.items() if "GCM" in name)
HYBRID = frozenset({0x11EC})  # X25519MLKEM768
MODERN = (Version.TLS_1_3, Version.TLS_1_2)


def judge_encryption(survey: TlsSurvey) -> Finding:
    """Pass if the server speaks a version of TLS that is not deprecated."""
    spoken = _accepted(survey)
    if not spoken:
        return failed("no version of TLS is spoken on the port")
    modern = [version for version in MODERN if version in spoken]
    names = ", ".join(version.label for version in spoken)
    if not modern:
        return failed(f"only deprecated versions are spoken: {names}")
    return passed(f"{names} spoken")


def judge_algorithms(survey: TlsSurvey) -> Finding:
    """Pass if all that was accepted is standard and none of it deprecated or broken (R2.1.2)."""
    faults = [version.label for version in OLD if version in _accepted(survey)]
    faults += [LEGACY_SUITES[s] for s in survey.legacy_suites if s not in FORWARD_SECRET]
    if survey.weak_groups.reply is Reply.ACCEPTED:
        faults.append("a group below secp224r1")
    if survey.weak_signatures.reply is Reply.ACCEPTED and survey.weak_signatures.random:
        faults.append("a signature with SHA-1 or MD5")
    faults += [
        f"a certificate signed with {one.signature_hash}"
        for one in survey.chain
        if one.signature_hash not in HASHES
    ]
    if faults:
        return failed(f"accepted: {', '.join(faults)}")
    if not survey.suites and not survey.legacy_suites:
        return undetermined("no handshake succeeded")
    suites = ", ".join(SUITES[s] for s in survey.suites) or "none of TLS 1.3"
    keys = ", ".join(one.key for one in survey.chain)
    return passed(f"accepted {suites}; certificates {keys}; refused SHA-1, MD5 and small groups")


def judge_agility(survey: TlsSurvey) -> Finding:
    """Pass if ciphers and groups are negotiated among several, and weak ones refused (R2.1.4)."""
    groups = [GROUPS[g] for g in survey.groups]
    suites = [SUITES[s] for s in survey.suites]
    if len(suites) < 2 or len(groups) < 2:
        return failed(
            f"{len(suites)} cipher suites and {len(groups)} groups are negotiable:"
            " a weakened one could not be refused without a new design"
        )
    hybrid = [GROUPS[g] for g in survey.groups if g in HYBRID]
    told = f"{hybrid[0]} is negotiated" if hybrid else "no post-quantum group is"
    return passed(
        f"{len(suites)} cipher suites and {len(groups)} groups negotiated one by one"
        f" ({', '.join(groups)}); {told}"
    )


def judge_strength(survey: TlsSurvey) -> Finding:
    """Pass if nothing that was accepted has less than `MINIMUM_BITS` of strength (R2.3.3)."""
    weak = [f"{one.key} in a certificate" for one in survey.chain if one.key_bits < MINIMUM_BITS]
    weak += [LEGACY_SUITES[s] for s in survey.legacy_suites if s not in FORWARD_SECRET]
    if survey.weak_groups.reply is Reply.ACCEPTED:
        weak.append("a group below secp224r1")
    if weak:
        return failed(f"below {MINIMUM_BITS} bits: {', '.join(weak)}")
    if not survey.suites and not survey.legacy_suites:
        return undetermined("no handshake succeeded")
    least = min((one.key_bits for one in survey.chain), default=0)
    short = " (one with a tag of 64 bits)" if CCM_8 in survey.suites else ""
    return passed(
        f"ciphers of 128 bits and more{short}, {len(survey.groups)} groups of 112 bits and more,"
        f" certificate keys of {least} bits and more"
    )


def judge_plain_text(answers: Sequence[PlainAnswer]) -> Finding:
    """Pass if no request in plain text was answered with what it asked for."""
    if not answers:
        return undetermined("nothing was asked in plain text")
    served = []
    for one in answers:
        status = one.answer.split(b" ", 2)[1:2] if one.answer.startswith(b"HTTP/") else []
        if status and not status[0].startswith((b"4", b"5")):
            served.append(f"{one.request}: {status[0].decode('ascii', 'replace')[:3]}")
        # 401 to a login in plain text means that the password was looked at.
        if status and status[0] in (b"401", b"403", b"429") and "login" in one.request:
            served.append(f"{one.request}: {status[0].decode()}, the password was taken")
    if served:
        return failed(f"answered in plain text: {', '.join(served)}")
    names = " and ".join(one.request for one in answers)
    return passed(f"{names} in plain text were not served")


def judge_trust(trust: Trust) -> Finding:
    """Pass if a client of the product accepts the server, and one with other roots does not."""
    if not trust.by_own_root:
        return failed(f"a client with the product's root refuses: {trust.refusal}")
    if trust.by_public_roots:
        return passed("verified by the product's root, and by a public authority too")
    return passed("a client with the product's root accepts, one with other roots refuses")


def judge_device_trust(
    trust: Trust, chain: Sequence[Shown], identity: Mapping[str, object]
) -> Finding:
    """`judge_trust`, but for a device that nobody has claimed and its vendor has not signed yet.

    Such a one makes its certificate itself, and says so in it: alone in the chain, for the device's
    own serial number, by an authority of that number's. Whatever else a client refuses is a fault.
    """
    found = judge_trust(trust)
    serial = str(identity.get("serial", ""))
    own = (
        identity.get("claimed") is False
        and len(chain) == 1
        and serial != ""
        and chain[0].serial == serial
        and chain[0].issuer == f"CN={self_made_name(serial)}"
    )
    if found.verdict is Verdict.FAIL and own:
        return undetermined(
            "nobody has claimed this device, and the certificate that it shows is of its own"
            " making: its vendor has not signed one yet (let it reach its vendor, then audit again)"
        )
    return found


def judge_serial(chain: Sequence[Shown], identity: Mapping[str, object]) -> Finding:
    """Pass if the certificate names the serial number that the device says it has."""
    said = str(identity.get("serial", ""))
    shown = chain[0].serial if chain else ""
    if not said or not shown:
        return failed("certificate or identity names no serial number")
    if said.upper() != shown.upper():
        return failed(f"the certificate is {shown}'s, the device says that it is {said}")
    return passed(f"the certificate names serial {shown}, as the device does")


def judge_unique_keys(chains: Mapping[str, Sequence[Shown]]) -> Finding:
    """Pass if no two devices show the same key or certificate (R2.5a)."""
    if len(chains) < 2:
        return undetermined("one device only: give further devices' URLs to compare with")
    keys = [chain[0].key_sha256 for chain in chains.values() if chain]
    serials = [chain[0].serial for chain in chains.values() if chain]
    if len(keys) < len(chains):
        return undetermined("a device showed no certificate")
    if len(set(keys)) < len(keys):
        return failed(f"{len(keys)} devices show {len(set(keys))} different keys")
    return passed(
        f"{len(keys)} devices show {len(set(keys))} different keys ({', '.join(serials)})"
    )


def judge_randoms(randoms: Sequence[bytes]) -> Finding:
    """Pass if the server's random values differ and are not plainly biased.

    Finds a constant or stuck generator, never the absence of entropy: the count of
    ones in n bits lies within 6 standard deviations of n/2 but for 2 in 10^9.
    """
    if len(randoms) < 2:
        return undetermined("fewer than two full handshakes succeeded")
    if len(set(randoms)) < len(randoms):
        return failed(f"{len(randoms)} handshakes, {len(set(randoms))} different random values")
    data = b"".join(randoms)
    bits = len(data) * 8
    ones = int.from_bytes(data, "big").bit_count()
    if abs(ones - bits / 2) > 6 * (bits / 4) ** 0.5:
        return failed(f"{ones} of {bits} bits of the server's random values are ones")
    return passed(f"{len(randoms)} server random values all differ, {ones} of {bits} bits are ones")


def _accepted(survey: TlsSurvey) -> tuple[Version, ...]:
    """Versions that were offered alone and taken (a server may answer with another one)."""
    return tuple(
        version
        for version, outcome in survey.versions.items()
        if outcome.reply is Reply.ACCEPTED and outcome.version == version
    )
