"""Says in plain words what is wrong with a value of a document, and what to do."""

from sync.read.parse import kind_of
from sync.validate.check import Error

_CORRECT = "Correct it in the User Portal or in its export."
_REMEDIES = {
    "string_type": "Send it in quotes.",
    "int_type": "Send it without quotes, fraction or exponent.",
    "float_type": "Send it without quotes.",
    "flag": "Send true, false, 1 or 0.",
    "date": "Send ISO 8601 text: YYYY-MM-DDTHH:MM:SS, with or without an offset; or null.",
    "external_id": "Send an integer 0 ... 2^128-1 or a UUID, or null.",
    "external_id_range": "Send an integer 0 ... 2^128-1 or a UUID, or null.",
    "null_word": "Send null, or leave the field out.",
    "list_type": "Send a list, or null.",
    "missing": "Send it.",
}
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "model_type": "an object",
}


def complaint(error: Error) -> str:
    """What is wrong."""
    kind, value = error.what, error.value
    if kind == "missing" and len(error.place) == 1:
        return 'not a document: it needs {"proposal": {…}, "sessions": […]}'
    if kind == "missing":
        return f"{error.place[-1]} is missing"
    if kind == "int_type" and isinstance(value, float):
        return "a whole number of at most 64 bits is expected, not a larger one or one with a fraction or exponent"
    if kind == "int_range":
        return "a whole number of at most 64 bits is expected, not a larger one"
    if kind == "finite_number" or (kind == "float_type" and isinstance(value, int | float)):
        return "a finite number is expected"
    if kind in _EXPECTED:
        return f"{_EXPECTED[kind]} is expected, not {kind_of(value)}"
    return error.words


def remedy(error: Error | None) -> str:
    """What to do about it."""
    if error is None:
        return _CORRECT
    kind, value = error.what, error.value
    if kind == "missing" and len(error.place) == 1:
        return _CORRECT
    if value is None or isinstance(value, list | dict):
        return _REMEDIES[kind] if kind in ("list_type", "missing") else _CORRECT
    return _REMEDIES.get(kind, _CORRECT)
