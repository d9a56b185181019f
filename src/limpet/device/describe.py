"""What a firmware would offer on the network, and what its processes may do, without a device.

    python -B -m limpet.device.describe TREE [RIGHTS]

prints the OpenAPI document of the firmware tree in the directory TREE: from the runtime's own
table of routes and from the functions that the product's app declares, by the same code as a
running device's `GET /v1/openapi.json`. The app is imported, and nothing of it is started. The
record of its processes (`limpet.wire.rights`), from the tables that confine them, goes into the
file RIGHTS.
"""

import sys
from pathlib import Path

import msgspec

from limpet.device.app._loading import load_app
from limpet.device.gateway.bodies import FunctionBody
from limpet.device.gateway.openapi import describe_api
from limpet.device.rights import describe_rights
from limpet.errors import LimpetError
from limpet.firmware.description import load_description
from limpet.product import PRODUCT_FILE, load_product
from limpet.storage import write_atomic
from limpet.wire.codec import encode_json

__all__ = ["describe_processes", "describe_tree", "main"]


def describe_tree(tree: Path) -> bytes:
    """The document, canonical: the same bytes for the same tree. Raises `Rejected`."""
    product, description = load_product(tree / PRODUCT_FILE), load_description(tree)
    functions = [
        msgspec.convert(
            {
                "name": one.name,
                "kind": one.kind.value,
                "access": one.access.name.lower(),
                "summary": one.summary,
                "arguments": one.arguments,
                "result": one.result,
                "unit": one.unit,
            },
            FunctionBody,
        )
        for one in load_app(tree, product).declarations()
    ]
    title = f"{product.maker.name} {product.model.display_name}"
    return encode_json(
        msgspec.to_builtins(describe_api(functions, title=title, version=description.version))
    )


def describe_processes(tree: Path) -> bytes:
    """The record of its processes, canonical. Raises `Rejected`."""
    return encode_json(describe_rights(load_product(tree / PRODUCT_FILE), load_description(tree)))


def main() -> int:
    """Print, or say in a line what is wrong with the tree."""
    try:
        tree, rights = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
        document = describe_tree(tree)
        for file in rights:
            write_atomic(file, describe_processes(tree), mode=0o644)
    except LimpetError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    sys.stdout.buffer.write(document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
