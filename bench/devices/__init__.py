"""What is here: discovery and identity of devices, and what timing needs of them; one module a vendor.

Importing this package imports no torch; `discover` and `backend` do.
"""

from bench.devices.backend import Backend, Event, backend, is_out_of_memory
from bench.devices.clock import cpu_clock, measured_clock
from bench.devices.discovery import discover, view
from bench.devices.selection import KNOWN_TYPES, Selection, known_types, parse_selection

__all__ = [
    "KNOWN_TYPES",
    "Backend",
    "Event",
    "Selection",
    "backend",
    "cpu_clock",
    "discover",
    "is_out_of_memory",
    "known_types",
    "measured_clock",
    "parse_selection",
    "view",
]
