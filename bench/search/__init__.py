"""The finder: which shape of a kernel, by which implementation, is the fastest on a device.

`space`, `surrogate`, `strategy`, `landscape` and `findings` are pure; `session` measures; `words` and `plot` render.
"""
