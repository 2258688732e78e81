"""How the kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from numba import njit
from numba.extending import intrinsic


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call, without the interpreter's lock, and keep the machine code.

    It is kept in ``$NUMBA_CACHE_DIR``, else beside the source, else (an installation that may only be
    read) in the user's cache folder. Where none can be written each process compiles for itself, which
    takes seconds at its first search and changes nothing else.

    numba does not see when a kernel of another module that this one calls has changed: kernels that call
    each other stand in one module.
    """
    try:
        return cast(Callable[..., Any], njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # "cannot cache function: no locator available"
        return cast(Callable[..., Any], njit(nogil=True, error_model="numpy")(function))


def instruction(function: Callable[..., Any]) -> Callable[..., Any]:
    """What numba has no word for: ``function`` gets the types and answers with a generator of code.

    Kernels call it without its first argument, the typing context.
    """
    return cast(Callable[..., Any], intrinsic(function))
