"""The smallest form of an example that still shows what it is about: to be read, and made a case of."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

from oracle.worlds import World

Path = tuple[Any, ...]


def smaller(world: World, shows: Callable[[World], bool]) -> World:
    """Takes away documents, rows, list items and fields, the larger parts first, until none can go.

    shows   whether an example still shows it; of one that the tables cannot hold, it says no
    """
    found = True
    while found:
        found = False
        for path in [("rows", *path) for path in _paths(world.rows)] + [
            ("documents", *path) for path in _paths(world.documents)
        ]:
            less = copy.deepcopy(world)
            if _take(less, path) and shows(less):
                world = less
                found = True
    return world


def _paths(content: Any) -> Iterator[Path]:
    """Where each part is: the larger before the smaller; of a list the last first, so that the others keep theirs."""
    items = content.items() if isinstance(content, dict) else reversed(list(enumerate(content)))
    for name, part in items:
        yield (name,)
        if isinstance(part, dict | list):
            yield from ((name, *path) for path in _paths(part))


def _take(world: World, path: Path) -> bool:
    """Takes one part away, or says that it is gone already. Of a row, a column goes by being null."""
    part: Any = getattr(world, path[0])
    try:
        for step in path[1:-1]:
            part = part[step]
        if path[0] == "rows" and isinstance(part, dict) and len(path) > 3:
            gone = part[path[-1]] is None
            part[path[-1]] = None
            return not gone
        del part[path[-1]]
    except (IndexError, KeyError, TypeError):
        return False
    return True
