"""What was done to one row and to its links, on a terminal."""

from rich.console import Console
from rich.text import Text

from sync.history.questions.rows import Done
from sync.model.report import Change
from sync.show.lines import change_line, refusal_line


def render_row(done: Done, console: Console) -> None:
    """Prints what was done, oldest first, one change a line."""
    if not done:
        console.print(Text("no run changed this row, or anything that refers to it"))
    for run, started, what in done:
        if isinstance(what, Change):
            words = f"{what.entity} {change_line(what)}"
        else:
            words = f"refused: {what.entity} {what.code}: {refusal_line(what)}"
        console.print(Text(f"run {run}, {started:%Y-%m-%d %H:%M:%S} UTC: {words}"), soft_wrap=True)
