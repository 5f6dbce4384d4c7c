"""What was done to one row and to its links, on a terminal."""

from rich.console import Console
from rich.text import Text

from sync.history.questions.rows import Done
from sync.show.lines import change_line


def render_row(done: Done, console: Console) -> None:
    """Prints what was done, oldest first, one change a line."""
    if not done:
        console.print(Text("no run changed this row, or anything that refers to it"))
    for run, started, change in done:
        words = f"run {run}, {started:%Y-%m-%d %H:%M:%S} UTC: {change.entity} {change_line(change)}"
        console.print(Text(words), soft_wrap=True)
