"""How a call is timed and how its answer is checked: timers, cache state, warm-up, sampling, checks.

Which calls there are is the runner's business, what the numbers mean is `bench.analysis`'s.
"""

from bench.timing.backend import Backend, Event
from bench.timing.cache import CachePlan, CacheState, plan_cache
from bench.timing.call_check import check_call, poison
from bench.timing.check import Expected, compare, prepare, verify
from bench.timing.measure import Timing, garbage_collection_off, measure, screen
from bench.timing.together import Group, measure_together
from bench.timing.together_check import check_together

__all__ = [
    "Backend",
    "CachePlan",
    "CacheState",
    "Event",
    "Expected",
    "Group",
    "Timing",
    "check_call",
    "check_together",
    "compare",
    "garbage_collection_off",
    "measure",
    "measure_together",
    "plan_cache",
    "poison",
    "prepare",
    "screen",
    "verify",
]
