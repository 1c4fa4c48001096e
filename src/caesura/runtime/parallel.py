"""Threads: how many, and work that is done side by side."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from caesura.errors import ConfigError
from caesura.runtime.processors import processors

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_THREADS = 1024
_MOST_DIGITS, _SHOWN = 9, 20
_WORTH_THREADS = 1 << 20
_thread = threading.local()
_blas_lock, _blas_users = threading.Lock(), 0
_blas_limit: Any = None


def threads() -> int:
    """How many threads to use: the setting CAESURA_THREADS, where 0, the default, stands for `processors`.

    1 where `each` is at work already.

    Raises:
        ConfigError: it is not a whole number up to MAX_THREADS.
    """
    setting = os.environ.get("CAESURA_THREADS", "").strip() or "0"
    # Python refuses to convert very long numbers.
    if not setting.isdecimal() or len(setting) > _MOST_DIGITS or int(setting) > MAX_THREADS:
        allowed = f"a whole number up to {MAX_THREADS} is allowed, 0 for all processors"
        raise ConfigError(f"CAESURA_THREADS is {setting[:_SHOWN]!r}; {allowed}")
    return 1 if getattr(_thread, "at_work", False) else int(setting) or processors()


def each(work: Callable[[Item], Result], items: Sequence[Item], size: int) -> list[Result]:
    """The results of `work` on each item, in their order.

    Args:
        work: may run in another thread; must not write where it reads for another item.
        items: what to work on.
        size: elements of arrays that all of it goes through; few are not worth a thread.
    """
    workers = min(threads(), len(items))
    if workers <= 1 or size < _WORTH_THREADS:
        return [work(item) for item in items]
    with ThreadPoolExecutor(workers, initializer=_set_to_work) as pool:
        return list(pool.map(work, items))


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep NumPy's matrix products to one thread each; also a decorator.

    They are small and many, and already run in several threads here: if the library splits each further,
    its threads wait for one another, and large pictures take a third longer. The limit is the process's: the
    first of several users sets it, the last restores it.
    """
    global _blas_limit, _blas_users  # noqa: PLW0603 - as the setting is
    with _blas_lock:
        if not _blas_users:
            _blas_limit = _for_all_threads(lambda: _blas().limit(limits=1, user_api="blas"))
        _blas_users += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if not _blas_users:
                _for_all_threads(_blas_limit.restore_original_limits)


def _for_all_threads(call: Callable[[], Result]) -> Result:
    """Call what sets a limit.

    With OpenMP a limit holds for the thread alone that sets it, while that lives: it is set in one that ends.
    """
    if all(
        library["threading_layer"] in ("pthreads", "disabled")
        for library in _blas().info()
        if library["user_api"] == "blas"
    ):
        return call()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    """The libraries that are loaded; NumPy is by the time that anything is coded."""
    return ThreadpoolController()


def _forked() -> None:
    """Another thread of the parent may have held the lock."""
    global _blas_lock, _blas_users
    _blas_lock, _blas_users = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _set_to_work() -> None:
    _thread.at_work = True
