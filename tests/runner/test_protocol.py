"""The private pipe: messages arrive whole and in order; either side notices that the other is gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.runner.protocol import Channel, Describe, EndOfStream, Measure, Progress, Reply, Request, Stop


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    down_read, down_write = os.pipe()
    up_read, up_write = os.pipe()
    parent, worker = Channel(up_read, down_write, Reply), Channel(down_read, up_write, Request)
    yield parent, worker
    for channel in (parent, worker):
        try:
            channel.close()
        except OSError:
            continue  # a test closed it already


def test_messages_arrive_in_order(pair: tuple[Channel, Channel]) -> None:
    parent, worker = pair
    for message in (Describe(selection="auto"), Stop()):
        parent.send(message)
    assert worker.receive() == Describe(selection="auto")
    assert worker.receive() == Stop()


@given(st.text(max_size=200), st.integers(0, 2**40))
def test_a_request_survives_the_pipe(reason: str, size: int) -> None:
    down_read, down_write = os.pipe()
    channel = Channel(down_read, down_write, Request)
    try:
        sent = Measure(
            id=reason,
            device="cpu",
            kernel="k",
            case={"m": size, "layout": reason},
            precision="fp32",
            implementations=[],
        )
        channel.send(sent)
        assert channel.receive(1.0) == sent
    finally:
        channel.close()


def test_a_message_larger_than_the_pipes_buffer_arrives_whole(pair: tuple[Channel, Channel]) -> None:
    parent, worker = pair
    detail = "x" * 3_000_000
    sender = threading.Thread(target=worker.send, args=(Progress(phase="p", detail=detail),))
    sender.start()
    assert parent.receive(30.0).detail == detail
    sender.join()


def test_silence_is_a_timeout(pair: tuple[Channel, Channel]) -> None:
    with pytest.raises(TimeoutError):
        pair[0].receive(0.01)


def test_the_other_side_gone_is_noticed_reading_and_writing(pair: tuple[Channel, Channel]) -> None:
    parent, worker = pair
    worker.close()
    with pytest.raises(EndOfStream):
        parent.receive(1.0)
    with pytest.raises(EndOfStream):
        parent.send(Stop())
