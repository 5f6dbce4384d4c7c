"""One thing that `check` has looked at."""

from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `remedy` is empty where nothing is to be done."""

    level: Level
    subject: str
    message: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Give the finding as JSON has it."""
        return asdict(self)
