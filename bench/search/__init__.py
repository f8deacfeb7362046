"""The finder: which shape of a kernel, by which implementation, is the fastest on a device.

`space`, `surrogate`, `strategy` and `findings` are pure; `session` measures; `plot` draws.
"""
