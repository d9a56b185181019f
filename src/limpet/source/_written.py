"""Passwords, keys and tokens that somebody wrote into Python or into a file of settings.

Owns which names mean a secret and which texts may be one. What is computed from nothing but texts
(joined, decoded, a default) is as open as a text. Never repeats a text.
"""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator

__all__ = ["find_in_python", "find_in_settings", "is_settings"]

_NAMED = re.compile(
    r"(?:^|[_.-])(?:password|passwd|passphrase|passcode|pwd|psk|secret|secret_?key|api_?key"
    r"|private_?key|access_?key|auth_?token|token)$"
    r"|(?-i:[a-z0-9](?:Password|Passphrase|Secret|Token|ApiKey|PrivateKey))$",
    re.IGNORECASE,
)
_COMPARED = re.compile(r"(?:^|_)(?:password|passwd|passphrase|passcode|pwd|secret)$", re.IGNORECASE)
_LEAST = 8  # characters of a text that may be a secret
_LEAST_BITS = 2.5  # of Shannon's entropy a character: words of a language have more than "aaaaaaaa"
_PLACEHOLDER = re.compile(r"[<{$%].*|.*\s.*|x+|\*+|change.?me.*|example.*|none|null", re.IGNORECASE)
_DECODERS = frozenset(
    {"encode", "fromhex", "unhexlify", "bytes", "bytearray", "b64decode", "urlsafe_b64decode"}
    | {"standard_b64decode", "b32decode", "b85decode", "a2b_base64", "strip", "lower", "upper"}
)
_DEFAULTS = frozenset({"get", "getenv", "getattr", "pop", "setdefault"})
_MAX_DEPTH = 20

_SETTINGS = re.compile(
    r"(?:^|/)(?:\.env(?:\.[^/]*)?|\.netrc|\.npmrc|\.pypirc"
    r"|[^/]*\.(?:env|toml|json|ya?ml|ini|cfg|conf|properties|sh|bash|service|xml))$",
    re.IGNORECASE,
)
_SETTING = re.compile(
    rb"(?:^|[\s{,;:\"'<])([A-Za-z][\w.-]{0,60})[\"']?\s{0,4}[:=>]\s{0,4}"
    rb"(?:\"([^\"\n]{8,200})\"|'([^'\n]{8,200})'|([^\s\"'#;,<>{}()\[\]]{8,200}))",
    re.MULTILINE,
)
_NO_VALUE = re.compile(
    r"[!&*~./].*|[\w./-]+\.(?:pem|key|der|crt|txt|json|toml|sock)|(?:https?|file|env|vault|pkcs11|tpm2?|arn):.*",
    re.IGNORECASE,
)
_MIXED = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])|(?=.*[a-z][A-Z])", re.DOTALL)


def is_settings(name: str) -> bool:
    """Whether a file of this name holds names and values."""
    return _SETTINGS.search(name) is not None


def find_in_settings(data: bytes) -> Iterator[tuple[str, int]]:
    """Each secret in names and values, as (name, byte). A value has digits, or is in mixed case:
    words that are not (`secret = "claim-code"`) name kinds of secrets more often than they are."""
    for match in _SETTING.finditer(data):
        name, text = match[1].decode(), (match[2] or match[3] or match[4]).decode("latin-1")
        may_be = _MIXED.match(text) and not _NO_VALUE.fullmatch(text)
        if may_be and _NAMED.search(name) and is_secret(text):
            yield name[:60], match.start(1)


def find_in_python(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each secret in a module, as (name, line)."""
    for node in ast.walk(tree):
        for name, value in _assignments(node):
            if _NAMED.search(name) and any(map(is_secret, _texts(value))):
                yield name[:60], getattr(value, "lineno", 0)
        for name, value in _comparisons(node):
            if _COMPARED.search(name) and any(map(is_secret, _texts(value))):
                yield name[:60], getattr(value, "lineno", 0)


def is_secret(text: str) -> bool:
    """Whether `text` may be a secret, by its form."""
    return (
        len(text) >= _LEAST and not _PLACEHOLDER.fullmatch(text) and _entropy(text) >= _LEAST_BITS
    )


def _entropy(text: str) -> float:
    """Bits a character (Shannon), of the text's own letters."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


def _assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _targets(target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from _targets(target, value)
        case ast.NamedExpr(target=target, value=value):
            yield from _targets(target, value)
        case ast.keyword(arg=str(name), value=value):
            yield name, value
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value
        case ast.arguments():
            yield from _defaults(node)
        case _:
            return


def _targets(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match target, value:
        case (
            (ast.Tuple(elts=names) | ast.List(elts=names)),
            (ast.Tuple(elts=values) | ast.List(elts=values)),
        ):
            for one, given in zip(names, values, strict=False):
                yield from _targets(one, given)
        case _:
            yield _name(target), value


def _name(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case _:
            return ""


def _defaults(node: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    plain = [*node.posonlyargs, *node.args]
    given = node.defaults
    for one, value in zip(plain[len(plain) - len(given) :], given, strict=True):
        yield one.arg, value
    for one, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
        if default is not None:
            yield one.arg, default


def _comparisons(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """`password == "…"`: the very text opens the door."""
    match node:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
            yield _name(left), right
            yield _name(right), left
        case _:
            return


def _texts(value: ast.expr, depth: int = 0) -> Iterator[str]:
    """The texts that `value` may be, as far as they stand there."""
    if depth > _MAX_DEPTH:
        return
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Constant(value=bytes(data)):
            yield data.decode("latin-1")
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            sides = [next(_texts(side, depth + 1), None) for side in (left, right)]
            if None not in sides:
                yield "".join(filter(None, sides))
        case ast.BoolOp(values=values):
            for one in values:
                yield from _texts(one, depth + 1)
        case ast.IfExp(body=body, orelse=other):
            yield from _texts(body, depth + 1)
            yield from _texts(other, depth + 1)
        case ast.Call():
            yield from _called(value, depth + 1)
        case _:
            return


def _called(call: ast.Call, depth: int) -> Iterator[str]:
    name = _name(call.func)
    inner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if name in _DECODERS:
        for one in (*call.args[:1], *([inner] if inner is not None else [])):
            yield from _texts(one, depth)
    elif name in _DEFAULTS and len(call.args) > 1:
        yield from _texts(call.args[-1], depth)
