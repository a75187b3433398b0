"""Prints a file of JSON lines as Markdown tables, one for each benchmark: a line for each figure, a column for each run."""

import json
import sys

# What tells the runs of a benchmark apart: the heads of its columns.
LABELS = ["weights", "threads", "operation"]
# These have a line for each row: their figures are of different kinds.
LISTS = ["target"]


def show(value):
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def head(row):
    threads = {1: "1 thread"}.get(row.get("threads"), f"{row.get('threads')} threads")
    return ", ".join(threads if label == "threads" else str(row[label]) for label in LABELS if label in row)


def table(cells):
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    print("\n".join([line(cells[0]), rule, *map(line, cells[1:])]))


groups = {}
for text in open(sys.argv[1]):
    row = json.loads(text)
    groups.setdefault(row.pop("bench"), []).append(row)
for name, rows in groups.items():
    print(f"\n### {name}\n")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    if name in LISTS:
        table([keys, *([show(row[key]) for key in keys] for row in rows)])
        continue
    figures = [key for key in keys if key not in LABELS]
    table([["", *map(head, rows)], *([key, *(show(row.get(key, "")) for row in rows)] for key in figures)])
