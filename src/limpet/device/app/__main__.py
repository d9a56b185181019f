"""The app's program: as a role of a device, or `--describe PRODUCT` for its declarations.

Owns the two ways of starting. `--describe` needs no device: it prints the JSON
array of declarations of the product in a directory (`product.toml` and `app/`).
"""

import argparse
import sys
from pathlib import Path

from limpet.device.app._loading import load_app
from limpet.errors import LimpetError
from limpet.wire.codec import encode_json

__all__ = ["main"]


def main() -> None:
    """Describe, or serve as the role `app`."""
    if "--describe" in sys.argv[1:]:
        sys.exit(_describe())
    from limpet.device.app._process import serve
    from limpet.device.link.permits import Role
    from limpet.device.link.role import run_role

    run_role(Role.APP, serve)


def _describe() -> int:
    parser = argparse.ArgumentParser(prog="limpet.device.app", allow_abbrev=False)
    parser.add_argument("--describe", type=Path, required=True, metavar="PRODUCT")
    directory: Path = parser.parse_args().describe
    try:
        declarations = load_app(directory).declarations()
    except LimpetError as error:
        print(f"limpet: error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    sys.stdout.write(encode_json(declarations).decode())
    return 0


if __name__ == "__main__":
    main()
