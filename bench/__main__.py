"""`./run bench`: a device's figures, or those of the part that is named; some parts attack it."""

import sys
from collections.abc import Callable, Mapping, Sequence

from bench import advisories, deltas, device, flood, guessing, herd, metadata, store, transfer

PARTS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "advisories": advisories.main,
    "deltas": deltas.main,
    "device": device.main,
    "herd": herd.main,
    "metadata": metadata.main,
    "store": store.main,
    "transfer": transfer.main,
}
ATTACKS: Mapping[str, Callable[[], int]] = {"flood": flood.main, "guessing": guessing.main}


def run_part(words: Sequence[str]) -> int:
    """Run the part that is named; the device's figures where none is."""
    name = words[0] if words else "device"
    if name.startswith("-"):
        return device.main(words)
    if name in PARTS:
        return PARTS[name](words[1:])
    if len(words) > 1 or name not in ATTACKS:
        choices = ", ".join((*PARTS, *ATTACKS))
        print(f"bench: no part {' '.join(words)!r}: choose one of {choices}")
        return 2
    return ATTACKS[name]()


if __name__ == "__main__":
    sys.exit(run_part(sys.argv[1:]))
