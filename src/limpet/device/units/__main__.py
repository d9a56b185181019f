"""`python -m limpet.device.units DIR [--python …] [--device …] [--listen …]`: write the units."""

import argparse
from pathlib import Path

from limpet.device.units import Site, render_units
from limpet.storage import make_directory, write_atomic


def main() -> None:
    """Write one file a unit, and the list of users."""
    site = Site()
    parser = argparse.ArgumentParser(prog="python -m limpet.device.units", allow_abbrev=False)
    parser.add_argument("out", type=Path, help="where the files go")
    parser.add_argument("--python", default=site.python, help="the device's interpreter")
    parser.add_argument("--device", default=site.device, help="the device's directory")
    parser.add_argument("--listen", default=site.listen, metavar="HOST:PORT")
    parser.add_argument(
        "--app-calls-out", action="store_true", help="the product declares a way out for its app"
    )
    parser.add_argument(
        "--silent", action="store_true", help="the product does not declare multicast DNS"
    )
    given = parser.parse_args()
    site = Site(
        python=given.python,
        device=given.device,
        listen=given.listen,
        app_calls_out=given.app_calls_out,
        announces=not given.silent,
    )
    for name, text in render_units(site).items():
        write_atomic(make_directory(given.out, mode=0o755) / name, text.encode(), mode=0o644)


main()
