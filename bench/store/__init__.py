"""Where run files live and how many of them are queried: a folder or any URL that fsspec opens, its index and notes.

What a run file holds is `bench.records`' business, what its figures mean `bench.analysis`'.
"""

from bench.store.folder import Entry, Location
from bench.store.naming import location
from bench.store.writing import put

__all__ = ["Entry", "Location", "location", "put"]
