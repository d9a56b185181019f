"""Who holds which key, and which algorithms are used. Pure; public halves only."""

from limpet.crypto.suites import Suite, TlsRules, TlsUse
from limpet.vendor.pages.document import (
    Block,
    Chapter,
    Code,
    Entry,
    Facts,
    Run,
    Table,
    Text,
    paragraph,
    text,
)
from limpet.vendor.pages.dossier import Dossier

from .words import short

__all__ = ["cryptography_chapter", "custody_chapter"]

DEVICE_KEYS = (
    ("Permanent identity (IDevID)", "the keeper, which has no socket; made on the device, never"
     " exported"),
    ("Operational identity (LDevID)", "the gateway for its own TLS, the updater for its calls;"
     " renewed with the permanent identity"),
    ("Passwords, tokens, claim code", "accounts, as verifiers only; it has no socket"),
)  # fmt: skip


def custody_chapter(dossier: Dossier) -> Chapter:
    """On the device, at the vendor online and offline, and what firmware trusts."""
    blocks: list[Block] = [
        paragraph(
            "A device installs a release only if two signatures agree: one made offline that says"
            " what firmware exists, and one made online that offers it."
        ),
        Table(
            headings=("Role", "Keys are", "Needed", "May", "Keys", "Valid until"),
            rows=tuple(
                (
                    text(one.name),
                    text("online" if one.online else "offline"),
                    text(f"{one.threshold} of {len(one.keys)}"),
                    text(one.may),
                    _keys(one.keys),
                    text(one.expires),
                )
                for one in dossier.roles
            ),
            label="Roles of the update repository (TUF)",
            empty="The repository was not read.",
            widths=(20, 9, 10, 22, 26, 13),
        ),
        Entry(
            "anchors",
            "What firmware trusts",
            (
                Table(
                    headings=("Certificate", "For", "SHA-256 of its public key", "Valid until"),
                    rows=tuple(
                        (text(one.name), text(one.of), text(Code(one.sha256)), text(one.expires))
                        for one in dossier.anchors
                    ),
                    label="Anchors of trust",
                    empty="The anchors were not read.",
                    widths=(18, 27, 40, 15),
                ),
            ),
        ),
        Entry(
            "device-keys",
            "On the device",
            (Facts(tuple((name, text(holder)) for name, holder in DEVICE_KEYS)),),
        ),
    ]
    return Chapter("custody", "Who holds which key", tuple(blocks))


def _keys(keys: tuple[tuple[str, str], ...]) -> Text:
    runs: list[Run] = []
    for identifier, scheme in keys:
        runs += [f"{', ' if runs else ''}{scheme} ", short(identifier)]
    return tuple(runs)


def cryptography_chapter(dossier: Dossier) -> Chapter:
    """The suite of the next firmware, list by list."""
    suite = dossier.suite
    if suite is None:
        return Chapter(
            "cryptography", "Cryptography", (paragraph("The suite of algorithms was not read."),)
        )
    said = paragraph(
        f"Everything that is offered and accepted is the suite {suite.id}, a file in the firmware;"
        " what is not in it is refused in both directions, and nothing is negotiated below it. An"
        " update may bring a newer suite, never an older one."
    )
    return Chapter("cryptography", "Cryptography", (said, Facts(_suite(suite))))


def _suite(suite: Suite) -> tuple[tuple[str, Text], ...]:
    uses = {
        "TLS to its owner": TlsUse.LOCAL,
        "TLS to the vendor": TlsUse.VENDOR,
        "TLS to declared hosts": TlsUse.OUTBOUND,
    }
    tls = {name: suite.tls_rules(use) for name, use in uses.items()}
    rules, words, firmware = suite.certificates, suite.passwords, suite.firmware
    certificates = (
        f"{', '.join(rules.curves)}; {', '.join(rules.hashes)}; {', '.join(rules.edwards)};"
        f" RSA of others from {rules.rsa_minimum_bits} bits"
    )
    passwords = (
        f"Argon2id, {words.memory_kib} KiB, {words.passes} passes,"
        f" {words.lanes} lane{'s' if words.lanes != 1 else ''} ({words.profile})"
    )
    return (
        *((name, text(_tls(each))) for name, each in tls.items()),
        ("Certificates", text(certificates)),
        ("Passwords", text(passwords)),
        ("Firmware, offline keys", text(_families(firmware.offline))),
        ("Firmware, online keys", text(_families(firmware.online))),
    )


def _tls(rules: TlsRules) -> str:
    lists = (rules.versions, rules.groups, rules.signatures, rules.ciphers)
    return "; ".join(", ".join(names) for names in lists)


def _families(families: tuple[tuple[str, ...], ...]) -> str:
    return " and ".join(" or ".join(family) for family in families)
