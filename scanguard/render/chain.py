"""What applies to a deployment, why, and where each value was written."""

from __future__ import annotations

from scanguard.render.document import BLANK, Block, Column, Document, Line, Span, Table
from scanguard.settings.describe import ChainExplanation


def chain_document(explanation: ChainExplanation) -> Document:
    """The chain, the reasons, then a row per value."""
    blocks: list[Block] = [Line.of("Chain ", Span(explanation.chain, "strong"))]
    blocks += [Line.of(f"- {reason}", indent=2) for reason in explanation.why]
    columns = (Column("KEY"), Column("VALUE", weight=3, wraps=True), Column("WRITTEN AT", weight=2, wraps=True))
    rows = tuple((Span(one.key), Span(one.value, "strong"), Span(one.origin)) for one in explanation.values)
    return (*blocks, BLANK, Table(columns, rows))
