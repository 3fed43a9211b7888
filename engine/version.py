"""The engine's version and the version of the worker protocol that it speaks."""

VERSION = "0.1.0"
PROTOCOL = 1
