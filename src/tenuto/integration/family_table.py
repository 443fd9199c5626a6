"""The table of families for the documentation: `python -m tenuto.integration.family_table`.

Prints the table, or writes it between the markers of the document that is named.
"""

import sys
from pathlib import Path

from tenuto.integration.families import FAMILIES, BlockFamily, ModelFamily

BEGIN, END = "<!-- families: begin -->\n", "<!-- families: end -->\n"

_HEADER = (
    "| transformer | blocks | attention | feed-forward | text | token grid | pairs | limits |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def family_table() -> str:
    """Return the supported transformers as a Markdown table: one row a kind of block."""
    lines = [
        f"| {' | '.join(_cells(family, row))} |".replace("|  |", "| |")
        for family in FAMILIES.values()
        for row in family.blocks
    ]
    return _HEADER + "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """Return a document with the present table between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{family_table()}{END}{after}"


def _cells(family: ModelFamily, row: BlockFamily) -> list[str]:
    grid = (family.grid.__doc__ or "").splitlines()[0] if family.grid else "Of each feature map"
    limits = list(family.limits)
    if family.residual_inputs:
        names = ", ".join(f"`{name}`" for name in family.residual_inputs)
        limits.append(f"forecasts of whole blocks pause with {names}")
    classes = ", ".join(f"`{name}`" for name in row.block_classes)
    return [
        f"`{family.model_class}`",
        f"`{row.blocks}`: {classes}",
        attention_of(row),
        feed_forward_of(row),
        (row.joint or "not in the sequence").replace("_", " "),
        grid.rstrip("."),
        "per sample",
        "; ".join(limits),
    ]


def attention_of(row: BlockFamily) -> str:
    """Return the attentions of a kind of block, each with its kind."""
    kinds = {
        row.self_attention: "joint" if row.joint else "self",
        row.image_attention: "image alone, where there is one",
        row.cross_attention: "cross",
    }
    return ", ".join(f"`{name}` ({kind})" for name, kind in kinds.items() if name)


def feed_forward_of(row: BlockFamily) -> str:
    """Return where a kind of block keeps its feed-forward."""
    if row.fused is not None:
        return " and ".join(f"`{name}`" for name in row.fused) + ", fused with the attention"
    return f"`{row.feed_forward}`" + (", text rows in it" if row.text_in_ffn else "")


def main(arguments: list[str]) -> None:
    """Print the table, or write it into a document."""
    if not arguments:
        print(family_table(), end="")
        return
    path = Path(arguments[0])
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
