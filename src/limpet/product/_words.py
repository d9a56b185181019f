"""The single values of a design file: texts, ids, addresses, numbers, with their bounds.

A `Meta` description is what a person reads when a value does not fit. Texts
exclude control and direction characters: they end up on labels, terminals,
in `security.txt` and on public pages.
"""

from typing import Annotated

from msgspec import Meta

__all__ = [
    "AnswerSeconds",
    "Bandwidth",
    "Bits",
    "ClockTime",
    "CodePointer",
    "ContactUri",
    "FunctionName",
    "HealthDeadline",
    "HoldDays",
    "Host",
    "Id",
    "Interval",
    "Language",
    "Length",
    "Line",
    "ModelName",
    "ModuleName",
    "PackageName",
    "PackageType",
    "Port",
    "Prose",
    "RelativePath",
    "Revision",
    "StatementId",
    "TakeoverWait",
    "Url",
]

_UNSAFE = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"

Id = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9][a-z0-9-]{0,47}\Z",
        description="an id (lower-case letters, digits and hyphens, at most 48)",
    ),
]
ModelName = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9][a-z0-9-]{0,62}\Z",
        description="a model name (lower-case letters, digits and hyphens, at most 63)",
    ),
]
Line = Annotated[
    str,
    Meta(
        pattern=rf"\A(?! )[^\t\n{_UNSAFE}]{{1,64}}(?<! )\Z",
        description="one line of 1 to 64 printable characters",
    ),
]
Prose = Annotated[
    str,
    Meta(
        pattern=rf"\A(?=[^{_UNSAFE}]*\S)[^{_UNSAFE}]{{1,2000}}\Z",
        description="a text of 1 to 2000 printable characters",
    ),
]
Revision = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,15}\Z",
        description="a hardware revision (letters, digits, '.', '_', '-', at most 16)",
    ),
]
Host = Annotated[
    str,
    Meta(
        pattern=r"\A(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
        r"(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z",
        description="a host name in lower case, without scheme or port",
    ),
]
Url = Annotated[
    str,
    Meta(
        pattern=r"\A(?=.{1,512}\Z)https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?\Z",
        description="an https:// URL",
    ),
]
ContactUri = Annotated[
    str,
    Meta(
        pattern=r"\A(?=.{1,512}\Z)(https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?"
        r"|mailto:[!-?A-~]+@[A-Za-z0-9.-]+|tel:\+[0-9-]{3,20})\Z",
        description="a mailto:, https:// or tel:+ URI (RFC 9116 section 2.5.3)",
    ),
]
Language = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z",
        description='a language tag (RFC 5646) such as "en"',
    ),
]
StatementId = Annotated[
    str,
    Meta(
        pattern=r"\AR[0-9]{1,2}(\.[0-9]{1,2}){0,3}[a-z]?\Z",
        description='a statement\'s id such as "R2.2.3a"',
    ),
]
CodePointer = Annotated[
    str,
    Meta(
        pattern=r"\A(?=.{1,200}\Z)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z",
        description='a pointer to code such as "limpet.https.admission:decide_connection"',
    ),
]
ModuleName = Annotated[
    str,
    Meta(
        pattern=r"\A(?=.{1,64}\Z)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z",
        description="a Python module's name",
    ),
]
PackageName = Annotated[
    str,
    Meta(
        pattern=r"\A(?=.{1,64}\Z)[a-z0-9]+(-[a-z0-9]+)*\Z",
        description="a Python package's normalised name, such as gpiod",
    ),
]
PackageType = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z][a-z0-9.-]{0,31}\Z",
        description='a type of package (as in a package URL) such as "pypi"',
    ),
]
RelativePath = Annotated[
    str,
    Meta(
        pattern=r"\A(?=.{1,200}\Z)[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\Z",
        description="the path of a file below the product's directory",
    ),
]
RaucText = Annotated[
    str,
    Meta(
        pattern=r"\A(?=.{1,100}\Z)[!-\[\]-~]([ -\[\]-~]*[!-\[\]-~])?\Z",
        description="what RAUC's system.conf says, in plain letters",
    ),
]
RaucSlotClass = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z][a-z0-9-]{0,31}\Z",
        description='a class of RAUC\'s slots, without number, such as "rootfs"',
    ),
]
Port = Annotated[int, Meta(ge=1, le=65535, description="a port from 1 to 65535")]
Bits = Annotated[int, Meta(ge=0, le=4096, description="bits of entropy from 0 to 4096")]
Length = Annotated[int, Meta(ge=1, le=256, description="a number of characters from 1 to 256")]
Interval = Annotated[
    int, Meta(ge=1, le=7 * 86400, description="seconds from 1 to 604800 (seven days)")
]
HealthDeadline = Annotated[int, Meta(ge=5, le=3600, description="seconds from 5 to 3600")]
Bandwidth = Annotated[
    int, Meta(ge=8192, le=1 << 30, description="bytes a second from 8192 to 1073741824")
]
AnswerSeconds = Annotated[int, Meta(ge=1, le=10, description="seconds from 1 to 10")]
FunctionName = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z][a-z0-9_]{0,63}\Z",
        description="the name of one of the app's functions",
    ),
]
HoldDays = Annotated[int, Meta(ge=0, le=365, description="days from 0 to 365")]
TakeoverWait = Annotated[int, Meta(ge=24, le=720, description="hours from 24 to 720 (thirty days)")]
ClockTime = Annotated[
    str,
    Meta(
        pattern=r"\A([01][0-9]|2[0-3]):[0-5][0-9]\Z",
        description='a time of day "HH:MM" from "00:00" to "23:59"',
    ),
]
