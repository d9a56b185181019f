"""What a name in a module means: where it was imported from, under whatever name.

Owns following aliases: imports anywhere in the module, `x = module.thing`, `getattr` and
`import_module` with a text. Values that are computed otherwise are not followed.
"""

import ast
from collections.abc import Iterator

__all__ = ["Names"]

_MAX_DEPTH = 20


class Names:
    """The names of one parsed module."""

    def __init__(self, tree: ast.AST) -> None:
        self._known: dict[str, str] = {}
        self._starred: list[str] = []
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node)
        for node in nodes:
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    if (meant := self.meaning(value)) and meant != name:
                        self._known.setdefault(name, meant)
                case _:
                    continue

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for one in node.names:
            if isinstance(node, ast.Import):
                if one.asname:
                    self._known[one.asname] = one.name
            elif one.name == "*":
                self._starred.append(node.module or "")
            else:
                self._known[one.asname or one.name] = f"{node.module or ''}.{one.name}"

    def meaning(self, node: ast.expr, depth: int = 0) -> str:
        """The dotted name of what `node` is, as it is imported; empty if that is not a name's."""
        if depth > _MAX_DEPTH:
            return ""
        match node:
            case ast.Name(id=name):
                return self._known.get(name, name)
            case ast.Attribute(value=owner, attr=name):
                return _joined(self.meaning(owner, depth + 1), name)
            case ast.Call(func=function, args=args):
                called = self.meaning(function, depth + 1)
                match called.rpartition(".")[2], args:
                    case "getattr", [owner, ast.Constant(value=str(name)), *_]:
                        return _joined(self.meaning(owner, depth + 1), name)
                    case (("import_module" | "__import__"), [ast.Constant(value=str(name)), *_]):
                        return name
                    case "Random", _ if called.startswith("random."):
                        return "random"  # an instance has the module's functions
                    case _:
                        return ""
            case _:
                return ""

    def starred(self, node: ast.Name) -> Iterator[str]:
        """What a bare name would be of the modules of which all was imported."""
        if node.id not in self._known:
            yield from (f"{module}.{node.id}" for module in self._starred)


def _joined(owner: str, name: str) -> str:
    return f"{owner}.{name}" if owner else name
