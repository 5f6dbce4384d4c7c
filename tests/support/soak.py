"""Whether the soak was asked for: to collect its thousands of tests takes a good part of a minute."""

_asked = [True]


def ask(markers: str) -> None:
    """Notes what pytest was given as -m, before it collects."""
    _asked[0] = "not soak" not in markers


def asked() -> bool:
    """Whether tests of the soak are wanted, or may be."""
    return _asked[0]
