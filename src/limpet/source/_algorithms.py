"""Cryptography in source and in compiled files that is banned, weakened or home-made.

Owns the lists, each with why. Looks at Python's syntax, and at bytes for the tables of
well-known algorithms: who carries an S-box of his own does not use the library's cipher. A
finding is a place for a person to look at, by a rule that can be read here.
"""

import ast
import re
from collections.abc import Iterator, Mapping

from limpet.source._secrets import Spot

__all__ = ["find_algorithms"]

_BROKEN = "is broken"
_PACKAGES: Mapping[str, str] = {
    "Crypto": "PyCrypto has had no fix since 2013",
    "rsa": "a library of its own, archived, without constant time",
    "md5": _BROKEN,
    "pyDes": "DES is broken",
}
_ATTRIBUTES: Mapping[str, str] = {
    "hashlib.md5": "MD5 is broken (RFC 6151)",
    "hashlib.sha1": "SHA-1 is broken (RFC 9155)",
    "hashes.MD5": "MD5 is broken (RFC 6151)",
    "hashes.SHA1": "SHA-1 is broken (RFC 9155)",
    "modes.ECB": "ECB shows equal blocks",
    "algorithms.ARC4": "RC4 is prohibited (RFC 7465)",
    "algorithms.TripleDES": "Triple-DES is disallowed (NIST SP 800-131A)",
    "algorithms.Blowfish": "its blocks of 64 bits collide (CVE-2016-2183)",
    "algorithms.CAST5": "its blocks of 64 bits collide",
    "algorithms.IDEA": "its blocks of 64 bits collide",
    "algorithms.SEED": "it is retired",
    "ssl._create_unverified_context": "it verifies no certificate",
    "ssl.CERT_NONE": "it verifies no certificate",
    "ssl.PROTOCOL_SSLv3": "SSL 3.0 is prohibited (RFC 7568)",
    "ssl.PROTOCOL_TLSv1": "TLS 1.0 is prohibited (RFC 8996)",
    "ssl.PROTOCOL_TLSv1_1": "TLS 1.1 is prohibited (RFC 8996)",
    "TLSVersion.TLSv1": "TLS 1.0 is prohibited (RFC 8996)",
    "TLSVersion.TLSv1_1": "TLS 1.1 is prohibited (RFC 8996)",
    "TLSVersion.SSLv3": "SSL 3.0 is prohibited (RFC 7568)",
}
_WEAK_HASHES = re.compile(r"md[245]|sha-?1", re.IGNORECASE)
_RANDOM = frozenset(
    {"random", "randint", "randrange", "randbytes", "choice", "choices", "getrandbits", "sample"}
)
_NEEDS_RANDOMNESS = re.compile(
    r"(?:^|_)(?:key|token|nonce|salt|secret|password|passphrase|iv|challenge|otp|code)s?(?:$|_)",
    re.IGNORECASE,
)
_NUMBERS: Mapping[int, str] = {
    0x428A2F98: "the constants of SHA-2",
    0xD76AA478: "the constants of MD5",
    0x5A827999: "the constants of SHA-1",
    0x9E3779B9: "the constant of TEA",
    0x61707865: "the constants of ChaCha and Salsa20",
    0x243F6A88: "the constants of Blowfish",
}
_TABLES: Mapping[str, bytes] = {
    "the S-box of AES": bytes.fromhex("637c777bf26b6fc53001672bfed7ab76"),
    "the permutation of DES": bytes([58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4]),
}
_TABLE_START = 8  # numbers of a table in source that tell it apart
_LIBRARY = "use the one of `cryptography`, which the firmware carries"


def find_algorithms(name: str, data: bytes) -> Iterator[Spot]:
    """Every suspicious place of the file `name`, which holds `data`."""
    if name.endswith(".py"):
        yield from _of_python(data)
        return
    for what, table in _TABLES.items():
        if table in data:
            yield Spot(f"a cipher of its own ({what}): {_LIBRARY}")


def _of_python(data: bytes) -> Iterator[Spot]:
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return  # the build and the tests say so
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        for what in _of_node(node):
            yield Spot(what, line)
    yield from _guessable(tree)


def _of_node(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from _imported(one.name for one in names)
        case ast.ImportFrom(module=str(module), names=names, level=0):
            yield from _imported([module])
            yield from (
                f"{module}.{one.name}: {why}"
                for one in names
                for dotted, why in _ATTRIBUTES.items()
                if f".{module}.{one.name}".endswith(f".{dotted}")
            )
        case ast.Attribute():
            yield from _banned_attribute(node)
        case ast.Call():
            yield from _weak_call(node)
        case (
            ast.keyword(arg="check_hostname", value=ast.Constant(value=False))
            | ast.Assign(
                targets=[ast.Attribute(attr="check_hostname")], value=ast.Constant(value=False)
            )
        ):
            yield "check_hostname = False: any host's certificate passes"
        case ast.Constant(value=int(number)) if number in _NUMBERS:
            yield f"an algorithm of its own ({_NUMBERS[number]}): {_LIBRARY}"
        case ast.List(elts=items) | ast.Tuple(elts=items):
            yield from _own_table(items)
        case ast.BinOp(op=ast.BitXor(), left=left, right=right) if _are_streamed(left, right):
            yield "bytes are combined by XOR, as a cipher of its own would: " + _LIBRARY
        case _:
            return


def _imported(modules: Iterator[str] | list[str]) -> Iterator[str]:
    for module in modules:
        if why := _PACKAGES.get(module.partition(".")[0]):
            yield f"{module}: {why}"


def _banned_attribute(node: ast.Attribute) -> Iterator[str]:
    owner = node.value
    last = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
    dotted = f"{last}.{node.attr}"
    if dotted in ("hashlib.md5", "hashlib.sha1"):
        return  # judged as a call: it may say that nothing depends on it
    if why := _ATTRIBUTES.get(dotted):
        yield f"{dotted}: {why}"


def _weak_call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    words = {word.arg: word.value for word in node.keywords}
    excused = words.get("usedforsecurity")
    if isinstance(excused, ast.Constant) and excused.value is False:
        return
    if why := _ATTRIBUTES.get(name) if name.startswith("hashlib.") else None:
        yield f"{name}: {why}; a checksum says usedforsecurity=False"
    first = node.args[0] if node.args else None
    named = first.value if isinstance(first, ast.Constant) else None
    named = named if isinstance(named, str) and _WEAK_HASHES.fullmatch(named) else ""
    if named and name in ("hashlib.new", "hmac.new"):
        yield f"{name}({named!r}): {_BROKEN}"


def _own_table(items: list[ast.expr]) -> Iterator[str]:
    if len(items) < _TABLE_START:
        return
    start = items[:_TABLE_START]
    numbers = [item.value for item in start if isinstance(item, ast.Constant)]
    for what, table in _TABLES.items():
        if numbers == list(table[:_TABLE_START]):
            yield f"a cipher of its own ({what}): {_LIBRARY}"


def _are_streamed(left: ast.expr, right: ast.expr) -> bool:
    """Each side is a byte of some stream: `data[i] ^ key[i % n]`, as ciphers at home look."""
    sides = (left, right)
    if not all(isinstance(side, ast.Subscript) for side in sides):
        return False
    return any(
        isinstance(part, ast.Mod)
        for side in sides
        if isinstance(side, ast.Subscript)
        for part in ast.walk(side.slice)
    )


def _guessable(tree: ast.AST) -> Iterator[Spot]:
    """The `random` module where a secret is made: its numbers can be worked out from a few."""
    for node in ast.walk(tree):
        names: list[str] = []
        match node:
            case ast.Assign(targets=targets):
                names = [ast.unparse(target) for target in targets]
            case ast.AnnAssign(target=target):
                names = [ast.unparse(target)]
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names = [name]
            case _:
                continue
        if any(_NEEDS_RANDOMNESS.search(name.rpartition(".")[2]) for name in names):
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and _is_random(call.func):
                    yield Spot(
                        f"{ast.unparse(call.func)} makes {names[0][:40]}: use the module secrets",
                        call.lineno,
                    )


def _is_random(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in _RANDOM
        and isinstance(function.value, ast.Name)
        and function.value.id == "random"
    )
