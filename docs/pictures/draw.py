"""Draw the record of a real demo run as a picture for the README.

    ./run demo --json demo.json
    .venv/bin/python docs/pictures/draw.py demo.json docs/pictures/demo.svg

Adds nothing to the record: every line of the picture is in the JSON file.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from rich.console import Console

from limpet.demo.story import Outcome
from limpet.demo.view import Screen

WIDTH = 118


def main(record: Path, picture: Path) -> None:
    """Read `record`, write `picture`."""
    told = json.loads(record.read_text("utf-8"))
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        screen = Screen(console)
        for number, scene in enumerate(told["scenes"], 1):
            screen.begin(number, scene["title"])
            for fact in scene["facts"]:
                screen.fact(fact)
            screen.end(Outcome(**{**scene, "facts": (), "commands": ()}))
        totals = Counter(entry["verdict"] for entry in told["audit"]["entries"])
        shown = ", ".join(f"{count} {verdict}" for verdict, count in totals.most_common())
        console.print(f"\n[bold]The 65 statements:[/] {shown}", highlight=False)
        screen.close(told["ok"], len(told["scenes"]), told["seconds"])
    svg = console.export_svg(title="./run demo")
    # Rich names a web font in its style; a picture in a repository fetches nothing.
    begin, end = svg.index("@font-face"), svg.rindex("@font-face")
    end = svg.index("}", end) + 1
    picture.write_text(svg[:begin] + svg[end:].replace("Fira Code, ", ""), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
