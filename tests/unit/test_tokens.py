"""Tokens are never given twice, by whichever process."""

from __future__ import annotations

import multiprocessing
from multiprocessing.queues import SimpleQueue

from scanguard.tokens import unique_token


def draw(into: SimpleQueue[list[str]]) -> None:
    into.put([unique_token() for _ in range(100)])


def test_no_token_is_given_twice_not_even_by_a_forked_child() -> None:
    context = multiprocessing.get_context("fork")
    drawn: SimpleQueue[list[str]] = context.SimpleQueue()
    children = [context.Process(target=draw, args=(drawn,)) for _ in range(3)]
    for child in children:
        child.start()
    tokens = [unique_token() for _ in range(100)]
    for child in children:
        tokens += drawn.get()
        child.join()
    assert len(set(tokens)) == 400
