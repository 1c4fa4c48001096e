"""Peak arithmetic speed of the machine: float32 matrix products of NumPy's BLAS."""

from __future__ import annotations

import time

import numpy as np
from threadpoolctl import threadpool_limits

_SIDE = 1536  # larger matrices are not faster, smaller ones are slower


def gemm(threads: int, *, side: int = _SIDE, repeats: int = 8) -> float:
    """Multiply-accumulates per second of a product of square float32 matrices, the best of `repeats`."""
    random = np.random.default_rng(0)
    left, right = (random.random((side, side), np.float32) for _ in range(2))
    out = np.empty((side, side), np.float32)
    best = float("inf")
    with threadpool_limits(threads, user_api="blas"):
        np.matmul(left, right, out)
        for _ in range(repeats):
            started = time.perf_counter()
            np.matmul(left, right, out)
            best = min(best, time.perf_counter() - started)
    return side**3 / best
