"""Hostile values, and every place of a document that one may stand in."""

from collections.abc import Iterator
from typing import Any

from sync.model.published.json_schema import schema

HOSTILE = [
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b2J\x90q\x9c",
    "a\0b",
    "\x08\x08\x7f",
    "a\r\nerror: spoofed",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "\u2028\u2029\x85",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)' \"><svg onload=alert(1)>",
    "]]><!-- {{7*7}} ${7*7} %s %n {0}",
    '=HYPERLINK("http://x","y")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "＝1",
    "'; DROP TABLE Person; -- \\",
    "[bold red]x[/] :smile:",
    "x" * 20_000,
    "Ω😀e\u0301",
]
Place = tuple[str, ...]


def places(node: dict[str, Any], defs: dict[str, Any], place: Place = ()) -> Iterator[Place]:
    """The places of plain values under a node of the JSON Schema; a list is named by []."""
    for option in [node] if "properties" in node else node.get("anyOf", [node]):
        if "$ref" in option:
            yield from places(defs[option["$ref"].rpartition("/")[2]], defs, place)
        elif "properties" in option:
            for name, child in option["properties"].items():
                yield from places(child, defs, (*place, name))
        elif "items" in option:
            yield from places(option["items"], defs, (*place, "[]"))
        elif option.get("type") != "null":
            yield place


SCHEMA = schema()
PLACES = list(dict.fromkeys(places(SCHEMA, SCHEMA["$defs"])))


def whole(number: int) -> dict[str, Any]:
    """A document that holds everything the schema has room for, its own alone."""

    def laboratory(mark: str) -> dict[str, Any]:
        return {"name": f"lab {number} {mark}", "city": "Lund", "country": "Sweden"}

    def person(mark: str) -> dict[str, Any]:
        return {"login": f"u{number}{mark}", "familyName": f"F {mark}", "laboratory": laboratory(mark)}

    return {
        "proposal": {
            "proposalCode": "MX",
            "proposalNumber": str(number),
            "title": "title",
            "persons": [person("a")],
            "labcontacts": [{"cardName": "card", "person": person("b")}],
        },
        "sessions": [
            {"externalId": number, "persons": [person("c") | {"session_options": {"role": "Staff", "remote": True}}]}
        ],
        "proteins": [{"acronym": "lyso", "person": person("d")}],
    }


def spoilt(number: int, place: Place, value: object) -> dict[str, Any]:
    """A whole document with this value at one place."""
    document = whole(number)
    inner: Any = document
    for part in place[:-1]:
        inner = inner[0] if part == "[]" else inner[part]
    assert isinstance(inner, dict)
    inner[place[-1]] = value
    inner[f"unknown{value}"] = value
    return document
