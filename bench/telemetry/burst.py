"""Machine code that does nothing but fused multiply-adds, as fast as one core can: what the canary sings with."""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

_UNROLL: Final = 8
"""Rounds over the accumulators per turn of the loop: the loop's own two instructions vanish beside them."""
_X86_ACCUMULATORS: Final = 12
"""Independent sums: two units × the longest latency of a multiply-add since Haswell and Zen (5 cycles) is 10."""
_ARM_ACCUMULATORS: Final = (*range(8), *range(16, 30))
"""Of v0–v31: v8–v15 belong to the caller (AAPCS64). 22 are enough for four units × 4 cycles (Neoverse V1)."""


@dataclass(frozen=True)
class Burst:
    """Machine code of `void burst(uint64_t turns)`, the operations of one turn, and the unit that it keeps busy."""

    code: bytes
    operations_per_turn: int
    unit: str


def _x86_loop(body: bytes) -> bytes:
    """Zeroed registers, the body as often as rdi says, and the upper halves given back. System V convention."""
    dec = b"\x48\xff\xcf"  # dec rdi
    back = -(len(body) + len(dec) + 6)
    start, end = b"\xc5\xfc\x77", b"\xc5\xf8\x77\xc3"  # vzeroall; vzeroupper, ret
    return start + body + dec + b"\x0f\x85" + struct.pack("<i", back) + end  # jnz body


def avx2_burst() -> Burst:
    """vfmadd231ps ymm0…ymm11, ymm15, ymm14: 8 lanes, two operations each. Registers of zeros: no denormals."""
    body = bytearray()
    for accumulator in range(_X86_ACCUMULATORS):
        # VEX: C4, then R̅X̅B̅ and the map 0F38 (2), then W=0, v̅v̅v̅v̅ for ymm15, L=1, prefix 66 (1); opcode B8; ModRM.
        extended = 0 if accumulator >= 8 else 0x80
        body += bytes((0xC4, extended | 0x40 | 0x02, 0x05, 0xB8, 0xC0 | (accumulator & 7) << 3 | 6))
    return Burst(_x86_loop(bytes(body) * _UNROLL), _X86_ACCUMULATORS * _UNROLL * 16, "AVX2 FMA")


def avx512_burst() -> Burst:
    """vfmadd231ps zmm0…zmm11, zmm15, zmm14: 16 lanes, two operations each."""
    body = bytearray()
    for accumulator in range(_X86_ACCUMULATORS):
        # EVEX: 62, then R̅X̅B̅R̅' and the map 0F38, then W=0, v̅v̅v̅v̅ for zmm15, 1, prefix 66; then L'L=2, V̅'=1, no mask.
        extended = 0 if accumulator >= 8 else 0x80
        body += bytes((0x62, extended | 0x40 | 0x10 | 0x02, 0x05, 0x48, 0xB8, 0xC0 | (accumulator & 7) << 3 | 6))
    return Burst(_x86_loop(bytes(body) * _UNROLL), _X86_ACCUMULATORS * _UNROLL * 32, "AVX-512 FMA")


def neon_burst() -> Burst:
    """fmla v<accumulator>.4s, v30.4s, v31.4s: 4 lanes, two operations each. The count arrives in x0."""
    clear = [0x6F00E400 | register for register in (*_ARM_ACCUMULATORS, 30, 31)]  # movi v.2d, #0
    body = [0x4E20CC00 | 31 << 16 | 30 << 5 | register for register in _ARM_ACCUMULATORS] * _UNROLL
    back = -(len(body) + 1)
    loop = [0xF1000400, 0x54000001 | (back & 0x7FFFF) << 5, 0xD65F03C0]  # subs x0, x0, #1; b.ne body; ret
    words = clear + body + loop
    return Burst(struct.pack(f"<{len(words)}I", *words), len(_ARM_ACCUMULATORS) * _UNROLL * 8, "NEON FMA")


def burst_for(machine: str, system: str, isa: Collection[str]) -> Burst | str:
    """The widest burst that this processor has, or why there is none.

    `machine` is x86_64 or aarch64, `system` is sys.platform, `isa` a CPU's flags as Linux spells them.
    """
    if system != "linux":
        return f"no burst on {system}: no executable page is asked for there"
    if machine == "aarch64":
        return neon_burst() if "asimd" in isa else "this processor has no NEON"
    if machine != "x86_64":
        return f"no burst is written for {machine}"
    if "avx512f" in isa:
        return avx512_burst()
    if "avx2" in isa and "fma" in isa:
        return avx2_burst()
    return "this processor has no fused multiply-add on vectors"
