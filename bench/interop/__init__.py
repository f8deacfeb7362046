"""Foreign formats, out and in: a run as other tools read it, and other tools' files as runs.

Pure: runs in, bytes out, and bytes in, runs out. One module a format; `bench.interop.registry` lists them. Files,
stores and the command line are elsewhere (`bench.cli`). What maps to what is told in docs/interop.md.
"""
