"""Text that comes from elsewhere, made safe to show."""


def printable(text: str) -> str:
    """The text with everything escaped that moves a cursor, breaks a line or turns the direction of writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
