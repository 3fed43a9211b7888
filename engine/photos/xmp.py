"""Properties of an XMP packet, changed in its text; whatever else stands in it stays.

By patterns and not by an XML reader: foreign XML has no place in a reader of photos, and packets are to come out as
they went in (see :mod:`engine.panorama.photo_metadata`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

GPANO = "http://ns.google.com/photos/1.0/panorama/"
_END = re.compile(r"</(\w+):RDF\s*>(?![\s\S]*</\w+:RDF\s*>)")
_PADDING = re.compile(r"\s+(?=<\?xpacket\s+end)")


class XmpDamagedError(ValueError):
    """The packet has no place where a property could be added."""


def new_packet() -> bytes:
    """An empty packet."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n</rdf:RDF>\n</x:xmpmeta>\n'
        '<?xpacket end="w"?>'
    ).encode()


def has(packet: bytes, name: str) -> bool:
    """Whether the packet has a property, named with its prefix (``GPano:PoseHeadingDegrees``)."""
    return any(pattern.search(_text(packet)) for pattern in _patterns(name))


def replaced(packet: bytes, properties: Mapping[str, str]) -> bytes:
    """The packet with new values of those properties that it has, as attributes or as elements."""
    text = _text(packet)
    for name, value in properties.items():
        attribute, element = _patterns(name)
        text = attribute.sub(lambda m, v=value: f'{m[1]}"{v}"', text)  # type: ignore[misc]
        text = element.sub(lambda m, v=value: f"{m[1]}{v}{m[2]}", text)  # type: ignore[misc]
    return _bytes(text)


def with_gpano(packet: bytes, properties: Mapping[str, str]) -> bytes:
    """The packet with these properties of GPano, new values of those that it has and the others added.

    Raises XmpDamagedError where it has no end of RDF to add them before.
    """
    there = {name: value for name, value in properties.items() if has(packet, f"GPano:{name}")}
    text = _text(replaced(packet, {f"GPano:{name}": value for name, value in there.items()}))
    lacking = {name: value for name, value in properties.items() if name not in there}
    if not lacking:
        return _bytes(text)
    end = _END.search(text)
    if end is None:
        raise XmpDamagedError("the XMP packet has no end of its RDF")
    rdf = end[1]
    about = re.search(rf"\b{rdf}:about\s*=\s*[\"']([^\"'<>]*)[\"']", text)  # all descriptions name one thing
    values = "".join(f'\n  GPano:{name}="{value}"' for name, value in lacking.items())
    added = f' <{rdf}:Description {rdf}:about="{about[1] if about else ""}" xmlns:GPano="{GPANO}"{values}/>\n'
    return _bytes(text[: end.start()] + added + text[end.start() :])


def without_padding(packet: bytes) -> bytes:
    """The packet without the white space that is kept for changes in place."""
    return _bytes(_PADDING.sub("\n", _text(packet)))


def _patterns(name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    word = re.escape(name)
    return (
        re.compile(rf"((?<![\w:]){word}\s*=\s*)(?:\"[^\"<]*\"|'[^'<]*')"),
        re.compile(rf"(<{word}(?:\s[^<>]*)?>)[^<]*(</{word}\s*>)"),
    )


def _text(packet: bytes) -> str:
    return packet.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
