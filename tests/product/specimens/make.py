"""Writes the specimens: from `sound.toml`, one broken copy for each defence.

A broken line says at its end what it must be refused with: `#! key: message`.
`python tests/product/specimens/make.py` writes them anew; a test compares.
"""

from pathlib import Path

HERE = Path(__file__).parent
SOUND = (HERE / "sound.toml").read_text(encoding="utf-8")

NO_THREAT = "no threat names this interface"
NO_ANSWER = "has neither measure nor acceptance"

# file name -> what to put for what; a text that occurs more than once is replaced the first time.
BROKEN: dict[str, tuple[tuple[str, str], ...]] = {
    # shape
    "unknown-key": (
        (
            'display_name = "Lamp"',
            'display_name = "Lamp"\ncolour = "red" #! model.colour: unknown key',
        ),
    ),
    "unknown-table": (("[support]", "[suport] #! suport: unknown key\n[support]"),),
    "missing-key": (
        (
            '[[threats]]\nid = "guessing"\ndescription = "A dictionary attack on the password."',
            '[[threats]] #! threats.guessing.description: is missing\nid = "guessing"',
        ),
    ),
    "wrong-types": (
        ("max_hold_days = 30", 'max_hold_days = "30" #! update.max_hold_days: expected days from'),
        ("until = 2030-12-31", 'until = "2030" #! support.until: expected a date'),
        (
            'languages = ["en"]',
            'languages = "en" #! security_contact.languages: expected an array, not a text',
        ),
        ("port = 8443", "port = 84430 #! interfaces.api.port: expected a port from 1 to 65535"),
    ),
    "datetime-for-date": (
        ("expires = 2027-06-30", "expires = 2027-06-30T00:00:00Z #! expires: expected a date"),
    ),
    "table-for-text": (
        ('name = "lamp"', "name = { en = 1 } #! model.name: expected a model name"),
    ),
    "unknown-word": (
        ('transport = "tcp"', 'transport = "tpc" #! transport: expected one of tcp, udp, physical'),
    ),
    "escape-in-maker": (
        ('"Example Instruments"', '"Example\\u001b[2J" #! maker.name: expected one line'),
    ),
    "direction-mark-in-maker": (
        ('"Example Instruments"', '"Example\\u202Etxt" #! maker.name: expected one line'),
    ),
    "line-break-in-contact": (
        (
            '["mailto:security@example.com"]',
            '["mailto:a@example.com\\nCanonical: x"] #! contacts: expected a mailto:',
        ),
    ),
    "plain-http-policy": (
        ("https://example.com/security", "http://example.com/security"),
        ('/security"', '/security" #! security_contact.policy_url: expected an https:// URL'),
    ),
    "two-shapes-at-once": (
        ("[[interfaces]]", "[[interfaces]]\ncolor = 1 #! interfaces.api.color: unknown key"),
        ("[update]", "[update]\nspeed = 1 #! update.speed: unknown key"),
    ),
    # syntax
    "not-toml": (("[vendor]", "[vendor #! not TOML: "),),
    "key-twice": (('name = "lamp"', 'name = "lamp"\nname = "lamp" #! not TOML: cannot overwrite'),),
    "nested-too-deep": (("[vendor]", "[vendor]\na.b.c.d.e.f.g.h.i = 1 #! tables nested too deep"),),
    "health-of-what-is-no-reading": (
        (
            "max_hold_days = 30",
            'max_hold_days = 30\n\n[update.health]\nfunctions = [\n    "brightness",\n'
            '    "explode", #! update.health.functions: "explode" is no function that the app\n'
            '    "brightness", #! update.health.functions: "brightness" is named twice\n]',
        ),
    ),
    "health-that-takes-too-long": (
        (
            "max_hold_days = 30",
            "max_hold_days = 30\n\n[update.health]\nanswer_seconds = 10\nfunctions = ["
            '"a", "b", "c"] #! update.health.functions: 3 functions of 10 s do not fit 3 times',
        ),
    ),
    "health-of-too-many": (
        (
            "max_hold_days = 30",
            "max_hold_days = 30\n\n[update.health]\nanswer_seconds = 1\nfunctions = ["
            '"a", "b", "c", "d", "e", "f", "g", "h", "i"] #! update.health.functions: more than 8',
        ),
    ),
    "endless-number": (("max_hold_days = 30", f"max_hold_days = {'3' * 5000}"),),
    # references
    "id-twice": (
        (
            'id = "updates"',
            'id = "api" #! interfaces.api.id: another of the interfaces has this id',
        ),
        ('["api", "updates"]', '["api"]'),
    ),
    "empty-lists": (
        ('["A1"]', "[] #! model.hardware_revisions: needs at least one entry"),
        ('["en"]', "[] #! security_contact.languages: needs at least one entry"),
    ),
    "threat-names-no-such-measure": (
        (
            'measures = ["tls-only"]',
            'measures = [\n  "tls-13", #! threats.eavesdropping.measures: no measure named\n]',
        ),
        ('[[measures]]\nid = "tls-only"', '[[measures]] #! warning\nid = "tls-only"'),
    ),
    "threat-names-no-such-interface": (
        (
            'interfaces = ["api", "updates"]',
            'interfaces = [\n  "updates",\n  "apis", #! interfaces: no interface named "apis"\n]',
        ),
    ),
    "unknown-statement": (
        ('["R2.3.1a"]\ncode', '["R2.3.1z"] #! measures.tls-only.statements: no statement\ncode'),
    ),
    "unknown-check": (
        (
            'checks = ["R2.3.1a"]',
            'checks = ["R9.1"] #! measures.tls-only.checks: no statement "R9.1"',
        ),
    ),
    "code-that-is-not-there": (
        (
            'code = ["limpet.errors:Rejected"]',
            'code = ["limpet.errors:Gone"] #! throttle.code: no code at "limpet.errors:Gone"',
        ),
    ),
    # threats and measures
    "interface-without-threat": (
        (
            '[[interfaces]]\nid = "updates"',
            f'[[interfaces]] #! interfaces.updates: {NO_THREAT}\nid = "updates"',
        ),
        ('["api", "updates"]', '["api"]'),
    ),
    "threat-through-no-interface": (
        (
            'password."\ninterfaces = ["api"]',
            'password."\ninterfaces = [] #! threats.guessing.interfaces: comes through no',
        ),
    ),
    "threat-without-answer": (
        (
            '[[threats]]\nid = "screwdriver"',
            f'[[threats]] #! threats.screwdriver.measures: {NO_ANSWER}\nid = "screwdriver"',
        ),
        ("[threats.acceptance]\n", ""),
        ('owner = "product security lead"\n', ""),
        ('reason = "It is a lamp."\n', ""),
        ("review_by = 2027-01-31\n", ""),
    ),
    "acceptance-past-its-review": (
        (
            "review_by = 2027-01-31",
            "review_by = 2026-11-21 #! threats.screwdriver.acceptance.review_by: the review was",
        ),
    ),
    "measure-without-statement": (
        ('["R2.3.1a"]\ncode', "[] #! measures.tls-only.statements: serves no statement\ncode"),
    ),
    "measure-without-code": (
        (
            'code = ["limpet.errors:Rejected"]',
            "code = [] #! measures.throttle.code: no code implements it",
        ),
    ),
    "measure-without-check": (
        (
            'checks = ["R2.3.1a"]',
            "checks = [] #! measures.tls-only.checks: no audit check attacks it",
        ),
    ),
    "measure-for-nothing": (
        ('[[measures]]\nid = "tls-only"', '[[measures]] #! warning\nid = "tls-only"'),
        ('["tls-only"]', '["throttle"]'),
    ),
    # interfaces and credentials
    "network-interface-without-port": (
        ("[[interfaces]]", "[[interfaces]] #! interfaces.api.port: is missing for a network"),
        ("port = 8443\n", ""),
    ),
    "physical-interface-with-port": (
        ('transport = "tcp"', 'transport = "physical"'),
        ("port = 8443", "port = 8443 #! interfaces.api.port: a physical interface has no port"),
    ),
    "unknown-datagram-door": (
        ('transport = "tcp"', 'transport = "udp"'),
        ("port = 8443", "port = 8443 #! interfaces.api.port: the device opens no UDP port but"),
    ),
    "outbound-without-hosts": (
        (
            '[[interfaces]]\nid = "updates"',
            "[[interfaces]] #! interfaces.updates.hosts: an outbound interface names its hosts"
            '\nid = "updates"',
        ),
        ('port = 443\nhosts = ["vendor.example.com"]', "port = 443"),
    ),
    "outbound-to-a-foreign-host": (
        (
            'port = 443\nhosts = ["vendor.example.com"]',
            'port = 443\nhosts = ["tracker.example.net"] #! interfaces.updates.hosts: '
            '"tracker.example.net" is not among vendor.hosts',
        ),
    ),
    "app-door-inwards": (
        (
            "port = 8443",
            'port = 8443\nused_by = "app" #! interfaces.api.used_by: the app calls out by TCP',
        ),
    ),
    "inbound-with-hosts": (
        (
            "port = 8443",
            'port = 8443\nhosts = ["vendor.example.com"] #! only an outbound network interface',
        ),
    ),
    "physical-with-peers": (
        ('transport = "tcp"', 'transport = "physical"'),
        (
            "port = 8443",
            'peers = ["anyone"] #! interfaces.api.peers: only an outbound network interface',
        ),
    ),
    "open-door-without-reason": (
        (
            'authentication = ["password"]',
            "authentication = [] #! interfaces.api.authentication: an inbound interface without",
        ),
    ),
    "claim-code-too-short": (
        (
            "entropy_bits = 80",
            "entropy_bits = 79 #! credentials.claim-code.entropy_bits: at least 80 bits of entropy",
        ),
    ),
    "claim-code-of-unknown-entropy": (
        (
            "[[credentials]]",
            "[[credentials]] #! entropy_bits: at least 80 bits of entropy, not none",
        ),
        ("entropy_bits = 80\n", ""),
    ),
    "short-password": (
        (
            "minimum_length = 15",
            "minimum_length = 14 #! credentials.password.minimum_length: a chosen secret",
        ),
    ),
    "password-without-throttle": (
        (
            'interfaces = ["api"]\nmeasures = ["throttle"]\n\n[[threats]]',
            'interfaces = ["api"]\nmeasures = [] #! credentials.password.measures: a chosen secret'
            "\n\n[[threats]]",
        ),
    ),
    "shared-default-password": (
        (
            '"per-owner"',
            '"shared" #! credentials.password.uniqueness: a credential shared between devices',
        ),
    ),
    # years
    "interval-out-of-bounds": (
        (
            "check_interval_seconds = 3600",
            "check_interval_seconds = 60 #! update.check_interval_seconds: not between its bounds",
        ),
    ),
    "regular-interval": (
        ("check_interval_min_seconds = 1800", "check_interval_min_seconds = 3600"),
        (
            "check_interval_max_seconds = 7200",
            "check_interval_max_seconds = 3600 #! check_interval_max_seconds: the bounds leave",
        ),
    ),
    "window-that-never-opens": (
        (
            "max_hold_days = 30",
            'max_hold_days = 30\ndefault_window = { start = "03:00", end = "03:00" }'
            " #! update.default_window.end: the window never opens",
        ),
    ),
    "fix-held-longer-than-the-rest": (
        (
            "max_hold_days = 30",
            "max_hold_days = 30\nmax_security_hold_days = 31"
            " #! update.max_security_hold_days: longer than max_hold_days, which is 30",
        ),
    ),
    "button-without-interface": (
        (
            "[support]\n",
            "[ownership]\nbutton = true #! ownership.button: a button that no interface declares\n"
            "\n[support]\n",
        ),
    ),
    "takeover-in-an-hour": (
        (
            "[support]\n",
            "[ownership]\ntakeover_wait_hours = 1 #! takeover_wait_hours: expected hours from 24\n"
            "\n[support]\n",
        ),
    ),
    "support-is-over": (
        ("until = 2030-12-31", "until = 2026-11-21 #! warning: support.until: support ended"),
    ),
    "contact-is-stale": (
        (
            "expires = 2027-06-30",
            "expires = 2026-11-22 #! security_contact.expires: the contact expired",
        ),
    ),
    "signed-commits-by-nobody": (
        (
            "[support]\n",
            '[development]\nissue_tracker = "https://example.com/issues"\nsigned_commits = true'
            " #! development.signed_commits: nobody is named\n\n[support]\n",
        ),
    ),
    "tracker-that-is-no-address": (
        (
            "[support]\n",
            '[development]\nissue_tracker = "ask Bob" #! development.issue_tracker: expected an'
            " https:// URL\n\n[support]\n",
        ),
    ),
    "signers-outside-of-the-product": (
        (
            "[support]\n",
            '[development]\nissue_tracker = "https://example.com/issues"\n'
            'allowed_signers = "../signers" #! development.allowed_signers: expected the path'
            "\n\n[support]\n",
        ),
    ),
    "bundles-of-two-lines": (
        (
            "[support]\n",
            '[development]\nissue_tracker = "https://example.com/issues"\n\n[development.rauc]\n'
            'compatible = "a\\nb" #! development.rauc.compatible: expected what RAUC\'s\n'
            'slot = "rootfs.0" #! development.rauc.slot: expected a class of RAUC\'s slots\n'
            'keyring = "/etc/rauc/keyring.pem" #! development.rauc.keyring: expected the path\n'
            'purpose = "any" #! development.rauc.purpose: expected\n\n[support]\n',
        ),
    ),
}


def specimen(name: str) -> str:
    """The text of the broken specimen `name`."""
    text = SOUND
    for old, new in BROKEN[name]:
        if old not in text:
            raise ValueError(f"{name}: nothing to replace: {old}")
        text = text.replace(old, new, 1)
    return text


def main() -> None:
    """Write all broken specimens beside this file."""
    for name in BROKEN:
        (HERE / f"{name}.toml").write_text(specimen(name), encoding="utf-8")


if __name__ == "__main__":
    main()
