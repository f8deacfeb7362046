"""suanli-bench: measure what a computing device delivers, against what it is rated to deliver."""

__version__ = "0.1.0"

METHOD_VERSION = 2
"""Raised whenever how we measure changes; results of different method versions are never compared."""
