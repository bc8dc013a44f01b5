"""Buffers are used again when, and only when, nobody holds them."""

import threading

import numpy as np

from vcsharp.buffers import BufferPool
from vcsharp.frame import black


def address(array: np.ndarray) -> int:
    return array.ctypes.data


def test_a_buffer_that_was_let_go_is_used_again():
    pool = BufferPool(4)
    first = pool.take(1000)
    where = address(first)
    del first
    assert address(pool.take(1000)) == where


def test_a_buffer_in_use_is_left_alone():
    pool = BufferPool(4)
    first, second = pool.take(1000), pool.take(1000)
    assert address(first) != address(second)


def test_a_view_holds_its_buffer():
    pool = BufferPool(4)
    buffer = pool.take(1000)
    view, where = buffer[:600].reshape(20, 30), address(buffer)
    del buffer
    assert address(pool.take(1000)) != where
    del view
    assert where in {address(buffer) for buffer in [pool.take(1000), pool.take(1000)]}


def test_a_memoryview_holds_its_buffer():
    pool = BufferPool(4)
    buffer = pool.take(1000)
    reader, where = memoryview(buffer), address(buffer)  # type: ignore[arg-type]
    del buffer
    assert address(pool.take(1000)) != where
    assert len(reader) == 1000


def test_no_more_is_kept_than_allowed():
    pool = BufferPool(2)
    held = [pool.take(10) for _ in range(5)]
    assert len({address(buffer) for buffer in held}) == 5
    assert len(pool._buffers) == 2


def test_unused_buffers_of_another_size_make_room():
    pool = BufferPool(2)
    pool.take(10)
    small = pool.take(10)
    held = [small, pool.take(20), pool.take(20)]
    assert sorted(buffer.size for buffer in pool._buffers) == [10, 20]
    assert len(held) == 3


def test_threads_never_share_a_buffer():
    pool, clashes = BufferPool(8), []

    def use(number: int) -> None:
        for _ in range(300):
            buffer = pool.take(4096)
            buffer.fill(number)
            if (buffer != number).any():
                clashes.append(number)

    threads = [threading.Thread(target=use, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not clashes


def test_a_cleared_pool_leaves_frames_intact():
    frame = black(64, 48)
    pool = BufferPool(2)
    buffer = pool.take(10)
    buffer.fill(7)
    pool.clear()
    assert (buffer == 7).all()
    assert (frame.copied().data == frame.data).all()
