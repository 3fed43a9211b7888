"""A JPEG file as its segments: those of metadata can be changed, everything from the first scan on is kept as it is."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import DamagedFileError, InputError

EXIF, XMP = b"Exif\x00\x00", b"http://ns.adobe.com/xap/1.0/\x00"
APP0, APP1, SCAN = 0xE0, 0xE1, 0xDA
MOST_BYTES = 65533
"""Of a segment's content: its length has 16 bits and counts itself."""
_START = b"\xff\xd8"
_BARE = (0x01, *range(0xD0, 0xD8))


@dataclass(frozen=True)
class Jpeg:
    """``segments``: (marker, content) before the first scan, in order. ``image``: the rest of the file, its pixels."""

    segments: tuple[tuple[int, bytes], ...]
    image: bytes

    def content(self, identity: bytes) -> bytes | None:
        """What follows ``identity`` (:data:`EXIF` or :data:`XMP`) in the first APP1 that begins with it."""
        return next((data[len(identity) :] for data in self._found(identity)), None)

    def with_content(self, identity: bytes, content: bytes, *, name: str) -> Jpeg:
        """The same file whose first such APP1 has ``content``; a new one stands behind APP0 and Exif, where readers
        look. Raises InputError, which names the file, for more than a segment holds."""
        data = identity + content
        if len(data) > MOST_BYTES:
            raise InputError(
                f"{name}: the metadata would have {len(data):,} bytes, more than the {MOST_BYTES:,} that one "
                "segment of a JPEG file holds.",
                remedy="Remove the preview picture from its EXIF with another program, then try again.",
            )
        old = next(self._found(identity), None)
        segments = list(self.segments)
        if old is not None:
            segments[segments.index((APP1, old))] = (APP1, data)
        else:
            at = 0
            while at < len(segments) and (segments[at][0] == APP0 or segments[at][1].startswith(EXIF)):
                at += 1
            segments.insert(at, (APP1, data))
        return Jpeg(tuple(segments), self.image)

    def to_bytes(self) -> bytes:
        """The file."""
        parts = [_START]
        for marker, data in self.segments:
            parts += [bytes((0xFF, marker)), (len(data) + 2).to_bytes(2, "big"), data]
        return b"".join([*parts, self.image])

    def _found(self, identity: bytes):  # type: ignore[no-untyped-def]
        return (data for marker, data in self.segments if marker == APP1 and data.startswith(identity))


def is_jpeg(data: bytes) -> bool:
    """Whether the bytes begin as a JPEG file does."""
    return data[:3] == _START + b"\xff"


def read_jpeg(data: bytes, *, name: str) -> Jpeg:
    """The file as segments (ITU T.81, annex B). Raises DamagedFileError, which names the file."""
    segments: list[tuple[int, bytes]] = []
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":  # markers may be filled up
            at += 1
        if len(data) < at + 4 or data[at] != 0xFF:
            raise DamagedFileError(
                f"{name}: the photo is damaged: no JPEG segment begins at byte {at:,}.",
                remedy="Copy or export it again.",
            )
        marker = data[at + 1]
        if marker == SCAN or marker in _BARE:
            return Jpeg(tuple(segments), data[at:])
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(data):
            raise DamagedFileError(
                f"{name}: the photo is damaged: the JPEG segment at byte {at:,} is cut off.",
                remedy="Copy or export it again.",
            )
        segments.append((marker, data[at + 4 : at + 2 + length]))
        at += 2 + length
