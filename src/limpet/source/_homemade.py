"""Cryptography that somebody made at home, and numbers that can be guessed where secrets are made.

Owns what such code looks like: the constants and tables of well-known algorithms, streams of bytes
under XOR, the module `random`.
"""

import ast
import re
from collections.abc import Iterator, Mapping

from limpet.source._naming import Names

__all__ = ["find_homemade", "find_tables"]

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
_CHECKSUM_PLACES = 256
_XOR = "bytes are combined by XOR, as a cipher of its own would"
_LIBRARY = "use the one of `cryptography`, which the firmware carries"


def find_tables(data: bytes) -> Iterator[str]:
    """Tables of ciphers in the bytes of a file that is no Python."""
    yield from _tables_of(data)


def find_homemade(tree: ast.AST, names: Names) -> Iterator[tuple[str, int]]:
    """Each suspicious place of a module, with its line."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        yield from ((what, line) for what in _of_node(node, names))
        yield from _guessable(node, names)


def _of_node(node: ast.AST, names: Names) -> Iterator[str]:
    match node:
        case ast.Constant(value=int(number)) if number in _NUMBERS:
            yield f"an algorithm of its own ({_NUMBERS[number]}): {_LIBRARY}"
        case ast.Constant(value=bytes(data)):
            yield from _tables_of(data)
        case ast.Constant(value=str(text)) if len(text) >= 2 * _TABLE_START:
            yield from _tables_of(_unhexed(text))
        case ast.List(elts=items) | ast.Tuple(elts=items):
            yield from _own_table(items)
        case ast.BinOp(op=ast.BitXor(), left=left, right=right) if _are_streamed(left, right):
            yield f"{_XOR}: {_LIBRARY}"
        case (
            ast.GeneratorExp(generators=[made], elt=elt) | ast.ListComp(generators=[made], elt=elt)
        ) if _is_cycled(made.iter, names) and _has_xor(elt):
            yield f"{_XOR}: {_LIBRARY}"
        case _:
            return


def _tables_of(data: bytes) -> Iterator[str]:
    for what, table in _TABLES.items():
        if table in data:
            yield f"a cipher of its own ({what}): {_LIBRARY}"


def _unhexed(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _is_cycled(made: ast.expr, names: Names) -> bool:
    """`zip(data, cycle(key))`."""
    if not isinstance(made, ast.Call) or names.meaning(made.func) != "zip":
        return False
    inner = (names.meaning(one.func) for one in made.args if isinstance(one, ast.Call))
    return any(name.rpartition(".")[2] == "cycle" for name in inner)


def _has_xor(node: ast.expr) -> bool:
    return any(
        isinstance(one, ast.BinOp) and isinstance(one.op, ast.BitXor) for one in ast.walk(node)
    )


def _own_table(items: list[ast.expr]) -> Iterator[str]:
    if len(items) < _TABLE_START:
        return
    start = items[:_TABLE_START]
    numbers = [item.value for item in start if isinstance(item, ast.Constant)]
    for what, table in _TABLES.items():
        if numbers == list(table[:_TABLE_START]):
            yield f"a cipher of its own ({what}): {_LIBRARY}"


def _are_streamed(left: ast.expr, right: ast.expr) -> bool:
    """A byte under one of a key that begins again: `data[i] ^ key[i % n]`, as ciphers at home look.
    A table of a checksum has 256 places."""
    sides = (left, right)
    if not all(isinstance(side, ast.Subscript | ast.Name) for side in sides):
        return False
    return any(
        isinstance(part, ast.BinOp)
        and isinstance(part.op, ast.Mod)
        and not (isinstance(part.right, ast.Constant) and part.right.value == _CHECKSUM_PLACES)
        for side in sides
        if isinstance(side, ast.Subscript)
        for part in ast.walk(side.slice)
    )


def _guessable(node: ast.AST, names: Names) -> Iterator[tuple[str, int]]:
    """`random` or `uuid1` where a secret is made: they can be worked out from a few numbers."""
    made: list[str] = []
    match node:
        case ast.Assign(targets=targets):
            made = [ast.unparse(target) for target in targets]
        case ast.AnnAssign(target=target):
            made = [ast.unparse(target)]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            made = [name]
        case _:
            return
    if any(_NEEDS_RANDOMNESS.search(name.rpartition(".")[2]) for name in made):
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and _is_guessable(call.func, names):
                what = f"{ast.unparse(call.func)[:60]} makes {made[0][:40]}: use the module secrets"
                yield what, call.lineno


def _is_guessable(function: ast.expr, names: Names) -> bool:
    meant = [names.meaning(function)]
    if isinstance(function, ast.Name):
        meant += names.starred(function)
    return any(
        one == "uuid.uuid1" or (one.startswith("random.") and one[len("random.") :] in _RANDOM)
        for one in meant
    )
