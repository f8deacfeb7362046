"""Machine code in a page of memory, called through ctypes: a few instructions without a compiler. Linux only."""

from __future__ import annotations

import ctypes
import mmap


class ExecutablePage:
    """Machine code in a page of its own, written first and made executable after (never both at once).

    The code takes one 64-bit integer by the platform's C convention and returns nothing. Raises OSError where the
    system refuses executable memory, AttributeError or ValueError where it has no mprotect.
    """

    def __init__(self, code: bytes) -> None:
        self._map = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE)
        self._map.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        libc.mprotect.restype = ctypes.c_int
        # On Arm the kernel makes the instruction cache coherent when a page becomes executable.
        if libc.mprotect(address, len(self._map), mmap.PROT_READ | mmap.PROT_EXEC) != 0:
            raise OSError(ctypes.get_errno(), "the system refuses executable memory")
        self._function = ctypes.CFUNCTYPE(None, ctypes.c_uint64)(address)

    def call(self, argument: int) -> None:
        """Run the code. A method, so that the page outlives the call."""
        self._function(argument)


_CPUID_HYPERVISOR = bytes.fromhex(
    "53"  # push rbx
    "b800000040"  # mov eax, 0x40000000: the leaf that hypervisors answer
    "31c9"  # xor ecx, ecx
    "0fa2"  # cpuid
    "891f"  # mov [rdi], ebx
    "894f04"  # mov [rdi + 4], ecx
    "895708"  # mov [rdi + 8], edx
    "5b"  # pop rbx
    "c3"  # ret
)


def hypervisor_signature() -> str:
    """The twelve letters that a hypervisor answers to CPUID ("KVMKVMKVM"), "" where they can't be had.

    For x86-64 Linux with the hypervisor flag only: the caller has looked.
    """
    letters = ctypes.create_string_buffer(12)
    try:
        ExecutablePage(_CPUID_HYPERVISOR).call(ctypes.addressof(letters))
    except (OSError, ValueError, AttributeError):
        return ""
    return letters.raw.decode("ascii", errors="replace").strip("\x00 ")
