"""How far a sweep is, as data and as a bar in the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bar


class Progress(NamedTuple):
    """How far a sweep is.

    Attributes:
        done: Cells that have a record: those that the store had and those measured now.
        cached: Of these, how many the store had.
        failed: Of these, how many have no measurements but a reason.
        total: Cells of the grid.
        seconds_left: Expected until the end, at the rate so far; None before the first cell.
    """

    done: int
    cached: int
    failed: int
    total: int
    seconds_left: float | None


OnProgress = Callable[[Progress], None]


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[OnProgress]:
    """A bar in the terminal; what it yields is the `on_progress` of `run`.

    Args:
        console: where to draw it; standard error unless given.
    """
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Bar(*columns, console=console or Console(stderr=True)) as bar:
        task = bar.add_task("cells", total=None)

        def show(progress: Progress) -> None:
            bar.update(task, description=_describe(progress), completed=progress.done, total=progress.total)

        yield show


def _describe(progress: Progress) -> str:
    left = "" if progress.seconds_left is None else f", {_clock(progress.seconds_left)} left"
    return f"cells: {progress.cached} cached, {progress.failed} failed{left}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
