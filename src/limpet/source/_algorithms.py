"""Cryptography in source and in compiled files that is banned, weakened or home-made.

Owns the lists of what is banned, each with why, under whatever name a module has it. A finding is a
place for a person to look at, by a rule that can be read here.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from limpet.source._homemade import find_homemade, find_tables
from limpet.source._naming import Names
from limpet.source._secrets import Spot

__all__ = ["find_algorithms"]

_BROKEN = "is broken"
_SHORT_CURVE = "a curve below 256 bits (NIST SP 800-57)"
_PACKAGES: Mapping[str, str] = {
    "Crypto": "PyCrypto has had no fix since 2013",
    "rsa": "a library of its own, archived, without constant time",
    "md5": _BROKEN,
    "pyDes": "DES is broken",
    "crypt": "its hashes are of DES and MD5 (PEP 594)",
    "_md5": _BROKEN,
    "_sha1": _BROKEN,
}
_ATTRIBUTES: Mapping[str, str] = {
    "hashlib.md5": "MD5 is broken (RFC 6151)",
    "hashlib.sha1": "SHA-1 is broken (RFC 9155)",
    "_hashlib.openssl_md5": "MD5 is broken (RFC 6151)",
    "_hashlib.openssl_sha1": "SHA-1 is broken (RFC 9155)",
    "hashes.MD5": "MD5 is broken (RFC 6151)",
    "hashes.SHA1": "SHA-1 is broken (RFC 9155)",
    "modes.ECB": "ECB shows equal blocks",
    "algorithms.ARC4": "RC4 is prohibited (RFC 7465)",
    "algorithms.TripleDES": "Triple-DES is disallowed (NIST SP 800-131A)",
    "algorithms.Blowfish": "its blocks of 64 bits collide (CVE-2016-2183)",
    "algorithms.CAST5": "its blocks of 64 bits collide",
    "algorithms.IDEA": "its blocks of 64 bits collide",
    "algorithms.SEED": "it is retired",
    "Cipher.DES": "DES is broken",
    "Cipher.DES3": "Triple-DES is disallowed (NIST SP 800-131A)",
    "Cipher.ARC2": "its blocks of 64 bits collide",
    "Cipher.ARC4": "RC4 is prohibited (RFC 7465)",
    "Cipher.Blowfish": "its blocks of 64 bits collide (CVE-2016-2183)",
    "Cipher.CAST": "its blocks of 64 bits collide",
    "Hash.MD2": _BROKEN,
    "Hash.MD4": _BROKEN,
    "Hash.MD5": "MD5 is broken (RFC 6151)",
    "Hash.SHA1": "SHA-1 is broken (RFC 9155)",
    "dsa.generate_private_key": "DSA is retired (FIPS 186-5)",
    "ec.SECP192R1": _SHORT_CURVE,
    "ec.SECP224R1": _SHORT_CURVE,
    "ec.SECT163K1": _SHORT_CURVE,
    "ec.SECT163R2": _SHORT_CURVE,
    "ec.SECT233K1": _SHORT_CURVE,
    "ec.SECT233R1": _SHORT_CURVE,
    "ssl._create_unverified_context": "it verifies no certificate",
    "ssl._create_stdlib_context": "it verifies no certificate",
    "ssl.wrap_socket": "it verifies no certificate",
    "ssl.CERT_NONE": "it verifies no certificate",
    "VerifyMode.CERT_NONE": "it verifies no certificate",
    "ssl.PROTOCOL_TLS": "it verifies no certificate by itself: PROTOCOL_TLS_CLIENT does",
    "ssl.PROTOCOL_SSLv23": "it verifies no certificate by itself: PROTOCOL_TLS_CLIENT does",
    "ssl.PROTOCOL_SSLv3": "SSL 3.0 is prohibited (RFC 7568)",
    "ssl.PROTOCOL_TLSv1": "TLS 1.0 is prohibited (RFC 8996)",
    "ssl.PROTOCOL_TLSv1_1": "TLS 1.1 is prohibited (RFC 8996)",
    "TLSVersion.TLSv1": "TLS 1.0 is prohibited (RFC 8996)",
    "TLSVersion.TLSv1_1": "TLS 1.1 is prohibited (RFC 8996)",
    "TLSVersion.MINIMUM_SUPPORTED": "it is below TLS 1.2 (RFC 8996)",
    "TLSVersion.SSLv3": "SSL 3.0 is prohibited (RFC 7568)",
}
_WEAK_HASHES = re.compile(r"md[245]|sha-?1", re.IGNORECASE)
_CHECKSUMS = ("hashlib.md5", "hashlib.sha1")  # a call may say that nothing depends on them
_HASH_BY_NAME: Mapping[str, tuple[int, str]] = {  # place and name of the argument that names it
    "hashlib.new": (0, "name"),
    "hashlib.file_digest": (1, "digest"),
    "hashlib.pbkdf2_hmac": (0, "hash_name"),
    "hmac.new": (2, "digestmod"),
    "hmac.digest": (2, "digest"),
}
_KEY_SIZE: Mapping[str, tuple[int, str]] = {
    "rsa.generate_private_key": (1, "key_size"),
    "RSA.generate": (0, "bits"),
}
_RSA_BITS = 2048
_WEAK_CIPHERS = re.compile(
    r"(?:^|[:, ])\+?(?:[ae]?NULL|EXP(?:ORT)?[\w-]*|LOW|A(?:EC)?DH|[\w-]*(?:3?DES|RC4|RC2|MD5)[\w-]*"
    r"|@SECLEVEL=[01])(?=$|[:, ])"
)
_FETCHING = frozenset({"get", "post", "put", "patch", "delete", "head", "request", "stream"})
_CLIENTS = frozenset({"Session", "ClientSession", "Client", "AsyncClient", "PoolManager"})


def find_algorithms(name: str, data: bytes) -> Iterator[Spot]:
    """Every suspicious place of the file `name`, which holds `data`."""
    if not name.endswith(".py"):
        yield from (Spot(what) for what in find_tables(data))
        return
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return  # no device can run it
    names = Names(tree)
    found = [*_find_banned(tree, names), *find_homemade(tree, names)]
    yield from (Spot(what, line) for what, line in dict.fromkeys(found))


def _find_banned(tree: ast.AST, names: Names) -> Iterator[tuple[str, int]]:
    nodes = list(ast.walk(tree))
    harmless = {id(one.func) for one in nodes if isinstance(one, ast.Call) and _is_checksum(one)}
    for node in nodes:
        if id(node) not in harmless:
            line = getattr(node, "lineno", 0)
            yield from ((what, line) for what in _of_node(node, names))


def _of_node(node: ast.AST, names: Names) -> Iterator[str]:
    match node:
        case ast.Import(names=imported):
            yield from _imported([one.name for one in imported])
        case ast.ImportFrom(module=str(module), names=imported, level=0):
            yield from _imported([module])
            for one in imported:
                yield from _banned(f"{module}.{one.name}")
        case ast.Attribute():
            yield from _banned(names.meaning(node))
        case ast.Name():
            yield from (what for meant in names.starred(node) for what in _banned(meant))
        case ast.Call():
            meant = names.meaning(node)
            yield from (*_banned(meant), *_imported([meant]))
            yield from _weak_call(node, names)
        case ast.keyword(arg="check_hostname", value=ast.Constant(value=False)):
            yield _ANY_HOST
        case ast.Assign(targets=[ast.Attribute(attr=name)], value=ast.Constant(value=value)):
            yield from _weak_setting(name, value)
        case _:
            return


_ANY_HOST = "check_hostname = False: any host's certificate passes"


def _weak_setting(name: str, value: object) -> Iterator[str]:
    if name == "check_hostname" and value is False:
        yield _ANY_HOST
    elif name == "verify_mode" and value == 0:
        yield "verify_mode = 0: it verifies no certificate"
    elif name == "verify" and value is False:
        yield "verify = False: it verifies no certificate"


def _imported(modules: Sequence[str]) -> Iterator[str]:
    for module in modules:
        if why := _PACKAGES.get(module.partition(".")[0]):
            yield f"{module}: {why}"


def _banned(meant: str) -> Iterator[str]:
    dotted = ".".join(meant.split(".")[-2:])
    if why := _ATTRIBUTES.get(dotted):
        more = "; a checksum says usedforsecurity=False" if dotted in _CHECKSUMS else ""
        yield f"{dotted}: {why}{more}"


def _is_checksum(call: ast.Call) -> bool:
    return any(
        word.arg == "usedforsecurity"
        and isinstance(word.value, ast.Constant)
        and word.value.value is False
        for word in call.keywords
    )


def _weak_call(node: ast.Call, names: Names) -> Iterator[str]:
    meant = names.meaning(node.func)
    last, dotted = meant.rpartition(".")[2], ".".join(meant.split(".")[-2:])
    if dotted in _HASH_BY_NAME and not _is_checksum(node):
        named = _argument(node, *_HASH_BY_NAME[dotted])
        if isinstance(named, str) and _WEAK_HASHES.fullmatch(named):
            yield f"{dotted}({named!r}): {_BROKEN}"
    if dotted in _KEY_SIZE:
        size = _argument(node, *_KEY_SIZE[dotted])
        if isinstance(size, int) and size < _RSA_BITS:
            yield f"{dotted}: a key of {size} bits (NIST SP 800-57)"
    if last == "set_ciphers":
        ciphers = _argument(node, 0, "cipherlist")
        if isinstance(ciphers, str) and (weak := _WEAK_CIPHERS.search(ciphers)):
            yield f"set_ciphers: {weak[0].strip(':, ')[:40]} is broken or hides nothing"
    if last in _FETCHING | _CLIENTS:
        for word in node.keywords:
            if word.arg in ("verify", "ssl") and _is_false(word.value):
                yield f"{last}({word.arg}=False): it verifies no certificate"
    if _argument(node, len(node.args), "cert_reqs") == "CERT_NONE":
        yield "cert_reqs='CERT_NONE': it verifies no certificate"


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def _argument(call: ast.Call, place: int, name: str) -> object:
    """The value of an argument that stands there as it is, else None."""
    given = next((word.value for word in call.keywords if word.arg == name), None)
    if given is None and place < len(call.args):
        given = call.args[place]
    return given.value if isinstance(given, ast.Constant) else None
