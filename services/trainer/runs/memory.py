"""What is said of a run for which the memory did not suffice."""

from __future__ import annotations

from contracts.training import TrainOptions

_WORDS = ("bad_alloc", "out of memory", "resource_exhausted", "resourceexhausted", "memoryerror")


def names_memory(text: str) -> bool:
    """Whether a child's last words say that memory ran out: trying again would end the same."""
    return any(word in text.lower() for word in _WORDS)


def memory_remedy(options: TrainOptions) -> str:
    """What to lower, with what it is now."""
    return (
        f"lower options.batch_size (now {options.batch_size}), choose a smaller network "
        f"(now {options.network}), or add memory"
    )
