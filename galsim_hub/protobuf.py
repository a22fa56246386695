"""Read the fields of a protocol buffer that is not to be trusted, without its schema.

Reach for `read_fields` where two or three fields of a file tell what has to be known before
anything else may read it, or where the library that has its schema is heavy.

Source: the encoding, https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["read_fields", "read_varint"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}


def read_fields(message: object) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field of a message.

    Parameters
    ----------
    message : bytes or memoryview
        What another field holds may be passed on, so that a number there is an error.

    Yields
    ------
    field : int
    value : int or memoryview
        The number, or what the field holds: a text, a message or 4 or 8 bytes.

    Raises
    ------
    ValueError, IndexError
        If it is no message, or ends early.

    Examples
    --------
    >>> [(field, bytes(value)) for field, value in read_fields(bytes.fromhex("0a026f6b"))]
    [(1, b'ok')]
    """
    if not isinstance(message, bytes | memoryview):
        raise ValueError("a number stands where a message should")
    content, place = memoryview(message), 0
    while place < len(content):
        key, place = read_varint(content, place)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            number, place = read_varint(content, place)
            yield field, number
            continue
        if wire == _BYTES:
            size, place = read_varint(content, place)
        elif wire in _WIDTHS:
            size = _WIDTHS[wire]
        else:
            raise ValueError(f"it is not protobuf (wire type {wire})")
        if place + size > len(content):
            raise ValueError("it is truncated")
        yield field, content[place : place + size]
        place += size


def read_varint(content: bytes | memoryview, place: int) -> tuple[int, int]:
    """Read a number, and where it ends.

    Parameters
    ----------
    content : bytes or memoryview
    place : int
        Where it begins.

    Returns
    -------
    number, place : int

    Raises
    ------
    ValueError, IndexError
        If it has no end.
    """
    value = 0
    for shift in range(0, 70, 7):
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("it is not protobuf (a number without end)")
