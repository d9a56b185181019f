"""Imports are found in every place where Python lets a statement stand, and nowhere else."""

import ast
import re
from pathlib import Path

import pytest

from limpet.release.sbom._imports import imported_names

PLACES = """\
import a.b, c as d
from e.f import g
from . import not_absolute
match x:
    case 1:
        import match_case
try:
    import try_body
except ValueError:
    import try_handler
else:
    import try_else
finally:
    import try_finally
try:
    import star_body
except* ValueError:
    import star_handler
for x in y:
    import for_body
else:
    import for_else
while x:
    import while_body
else:
    import while_else
with x:
    import with_body
if x:
    import if_body
elif y:
    import elif_body
else:
    import else_body
class C:
    async def method(self):
        async with x:
            async for y in z:
                import deep
not_one = "import in_a_string", (lambda: 0 if x else 1)
"""


def test_an_import_is_found_wherever_a_statement_may_stand(tmp_path: Path) -> None:
    (tmp_path / "places.py").write_text(PLACES)
    found = imported_names(tmp_path, ["places.py"])
    named = set(re.findall(r"import ([a-z]+_[a-z]+)$", PLACES, re.MULTILINE)) - {"not_absolute"}
    assert len(named) == 15
    assert found == named | {"a", "c", "e", "deep"}


@pytest.mark.parametrize("package", ["asyncio", "json"])
def test_no_import_of_the_standard_library_is_missed(package: str) -> None:
    base = Path(ast.__file__).parent / package
    files = sorted(path.name for path in base.glob("*.py"))
    assert files
    nodes = [node for name in files for node in ast.walk(ast.parse((base / name).read_bytes()))]
    whole = {one.name.split(".")[0] for n in nodes if isinstance(n, ast.Import) for one in n.names}
    parts = (n for n in nodes if isinstance(n, ast.ImportFrom) and not n.level and n.module)
    assert imported_names(base, files) == whole | {str(n.module).split(".")[0] for n in parts}
