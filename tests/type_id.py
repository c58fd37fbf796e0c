"""Identifiers as the API writes them: TypeID 0.3, Crockford's base32 of the 128 bits of a UUID in 26 digits."""

from __future__ import annotations

import uuid

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
DIGITS = 26


def type_id(prefix: str, text: str) -> str:
    number, digits = uuid.UUID(text).int, ""
    for _ in range(DIGITS):
        digits = CROCKFORD[number & 31] + digits
        number >>= 5
    return f"{prefix}_{digits}"


def uuid_of(text: str) -> str:
    """The UUID inside a TypeID ("ord_…")."""
    number = 0
    for digit in text.rpartition("_")[2]:
        number = number * 32 + CROCKFORD.index(digit)
    return str(uuid.UUID(int=number))
