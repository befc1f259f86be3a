"""Messages for bad input that several modules share."""

import difflib
from collections.abc import Iterable
from pathlib import Path


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is spelt most like `name`, or None where none comes near.

    Args:
        name: what was asked for; case and the difference between `-` and `_` do not count.
        known: the names that exist.
    """
    spellings = {_normalised(candidate): candidate for candidate in known}
    matches = difflib.get_close_matches(_normalised(name), spellings, n=1)
    return spellings[matches[0]] if matches else None


def unknown_name(argument: str, value: object, known: Iterable[str], remedy: str = "choose one of these") -> ValueError:
    """The error to raise where `argument` names none of the `known` things.

    Args:
        argument: the argument's name, as the caller wrote it.
        value: what the caller passed.
        known: the names that would have done, in the order in which to list them.
        remedy: what would do, said where no known name comes near.

    Returns:
        The exception, not raised: "`activation` must be one of relu, erf, got 'rleu'; did you mean 'relu'?".
    """
    names = list(known)
    suggestion = nearest(value, names) if isinstance(value, str) else None
    advice = f"did you mean {suggestion!r}?" if suggestion else f"{remedy}."
    return ValueError(f"`{argument}` must be one of {', '.join(names)}, got {value!r}; {advice}")


def broken_file(argument: str, path: Path, kind: str, reason: str) -> ValueError:
    """The error to raise where `argument` names a file that is damaged or of the wrong kind.

    Args:
        argument: the argument's name, as the caller wrote it.
        path: the file.
        kind: what the file should have been: "an idx file of images".
        reason: what is wrong with it, a clause that goes on from "which": "ends after 3 bytes of 16".

    Returns:
        The exception, not raised.
    """
    return ValueError(f"`{argument}` must name {kind}, got {path}, which {reason}; fetch or write the file again.")


def _normalised(name: str) -> str:
    return name.lower().replace("-", "_")
