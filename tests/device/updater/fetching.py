"""A process that fetches one image as the updater does, to be watched and killed.

Arguments: the port of a mirror, the directory with `roots.pem` and `image.json`. Prints, at its
end, the most memory that it had before and after (VmHWM, KiB), and what it asked and fetched.
"""

import json
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from limpet.crypto.tls import client_context
from limpet.device.updater.source import HttpsSource
from limpet.device.updater.transfer import Account, Line, Transfer
from limpet.firmware.installation import install_image
from limpet.https.client import HttpsClient
from limpet.wire.release import Image


def peak() -> int:
    """VmHWM of this process, KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main(port: str, place: Path) -> None:
    image = msgspec.json.decode((place / "image.json").read_bytes(), type=Image)
    client = HttpsClient(
        "https://localhost",
        tls=client_context(roots_pem=(place / "roots.pem").read_bytes()),
        resolve={"localhost:443": f"127.0.0.1:{port}"},
    )
    line = Line(
        bandwidth=None,
        monotonic=time.monotonic,
        now=lambda: datetime.now(UTC),
        random=random.random,
        pause=time.sleep,
        tell=lambda event, detail: print(event, detail, file=sys.stderr, flush=True),
    )
    account = Account(place / "own" / "transfers.json")
    before, began = peak(), time.monotonic()
    with Transfer(
        HttpsSource(client), image.path, image.packed, account=account, line=line
    ) as transfer:
        install_image(
            image, transfer.read, place / "own" / "b", journal=place / "own" / "install.json"
        )
    told = {"before": before, "after": peak(), "requests": transfer.requests}
    seconds = time.monotonic() - began
    print(json.dumps(told | {"fetched": transfer.fetched, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
