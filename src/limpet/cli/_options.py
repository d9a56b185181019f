"""Options that several commands share, or that belong together: one dataclass, one parameter.

Owns how they become options of a command.
"""

import functools
import inspect
from collections.abc import Callable

__all__ = ["takes"]

Command = Callable[..., None]


def takes(name: str, kind: type) -> Callable[[Command], Command]:
    """A decorator: the fields of the dataclass `kind`, whose types are annotated with what Typer
    wants to know, as options of a command in the place of its parameter `name`."""
    options = inspect.signature(kind).parameters

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def called(**given: object) -> None:
            whole = kind(**{option: given.pop(option) for option in options})
            command(**given, **{name: whole})

        own = inspect.signature(command)
        shown = [p for p in own.parameters.values() if p.name != name] + list(options.values())
        keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in shown]
        called.__signature__ = own.replace(parameters=keyword_only)  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in shown} | {"return": None}
        return called

    return decorate
