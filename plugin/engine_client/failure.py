"""What can go wrong between QGIS and the engine, as a user reads it."""

from __future__ import annotations


class EngineFailure(Exception):  # noqa: N818 - the word of the protocol is failure; an error is one of its kinds
    """A failure in one line, with what to do about it.

    ``kind`` is the engine's own word (``input``, ``grid``, ``output``, …) or one of the client's: ``no-engine``
    (nothing to start), ``start`` (could not be started), ``protocol`` (speaks another version), ``crash`` (ended
    without an answer), ``setup`` (the environment could not be built). ``details`` is for the log: the end of stderr.
    """

    def __init__(self, kind: str, message: str, remedy: str = "", *, details: str = "") -> None:
        self.kind = kind
        self.message = " ".join(str(message).split())
        self.remedy = " ".join(str(remedy).split())
        self.details = details
        super().__init__(self.line)

    @property
    def line(self) -> str:
        """Message and remedy as one line."""
        return f"{self.message} {self.remedy}".strip()


class EngineCancelled(Exception):  # noqa: N818 - not an error
    """The user asked to stop and the engine has stopped; nothing was written."""
