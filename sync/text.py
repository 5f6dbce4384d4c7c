"""Text that is shown: what comes from elsewhere, made safe, and counts."""


def printable(text: str) -> str:
    """The text with everything escaped that moves a cursor, breaks a line or turns the direction of writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, thing: str) -> str:
    """A count with its noun: 1 row, 2,000 rows."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
