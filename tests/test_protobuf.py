"""Fields of protocol buffers are read, and what is none is refused."""

from __future__ import annotations

import pytest

from galsim_hub.protobuf import read_fields


def test_fields_of_every_wire_type_are_read():
    message = bytes.fromhex("08ac02") + b"\x12\x02ok" + b"\x1dabcd" + b"\x21abcdefgh"
    number, *others = read_fields(message)
    assert number == (1, 300)  # the encoding's own example
    assert [(field, bytes(value)) for field, value in others] == [
        (2, b"ok"),
        (3, b"abcd"),
        (4, b"abcdefgh"),
    ]


@pytest.mark.parametrize(
    "message", [b"\x12\x09ok", b"\x1dabc", b"\x08", b"\x08" + b"\xff" * 11, b"\x0b", 7]
)
def test_what_is_no_message_is_refused(message):
    with pytest.raises((ValueError, IndexError)):
        list(read_fields(message))
