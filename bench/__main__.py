"""`./run bench`: a device's figures; `flood` and `guessing` attack it, `herd` is a whole fleet."""

import sys
from collections.abc import Callable, Mapping, Sequence

from bench import device, flood, guessing, herd

ATTACKS: Mapping[str, Callable[[], int]] = {"flood": flood.main, "guessing": guessing.main}
PARTS: Mapping[str, Callable[[Sequence[str]], int]] = {"device": device.main, "herd": herd.main}


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
