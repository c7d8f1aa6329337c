from __future__ import annotations

import io

from rich.console import Console

from scanguard.app import Progress
from scanguard.cli.progress import _Board


def shown(board: _Board) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    with console.capture() as capture:
        console.print(board)
    return capture.get()


def test_the_board_shows_the_newest_step_of_each_image_and_drops_what_is_done() -> None:
    board = _Board()
    board.listen(Progress("a", "nginx:1", "", "resolving"))
    board.listen(Progress("b", "redis:7", "", "resolving"))
    board.listen(Progress("a", "nginx:1", "osv", "scanning", "layer 1 of 2"))
    board.listen(Progress("a", "nginx:1", "osv", "scanning", "layer 2 of 2"))
    text = shown(board)
    assert "nginx:1: scanning with osv (layer 2 of 2)" in text
    assert "nginx:1: resolving" not in text
    assert "redis:7: resolving" in text
    board.listen(Progress("a", "nginx:1", "osv", "done"))
    assert "nginx:1" not in shown(board)


def test_a_fleet_does_not_flood_the_terminal() -> None:
    board = _Board()
    for number in range(500):
        board.listen(Progress(f"a{number}", f"image-{number}", "", "resolving"))
    text = shown(board)
    assert len(text.splitlines()) == 9
    assert "and 492 more" in text


def test_foreign_text_is_harmless_on_the_board() -> None:
    board = _Board()
    board.listen(Progress("a", "evil\x1b[2J\r" + "x" * 5_000, "", "resolving", "[red]:boom:"))
    text = shown(board)
    assert "\x1b" not in text
    assert "\r" not in text
    assert len(text.splitlines()) == 1
