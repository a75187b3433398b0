"""Prints a file of JSON lines as Markdown tables, one for each benchmark: a line for each figure, a column for each run.

A benchmark can have several tables: `table` says which of them a row belongs to.
"""

import json
import sys

# What tells the runs of a benchmark apart: the heads of its columns.
LABELS = ["weights", "threads", "operation", "work", "chain", "learners"]
# Figures in this order, others after them: JSON has them sorted by name.
ORDER = [
    "code_path", "prompt_tokens", "answer_tokens",
    "prefill_tokens_per_second", "decode_tokens_per_second", "decode_after_prompt_tokens_per_second", "medians",
    "weight_bytes_per_token", "bytes_per_token", "bytes_per_token_after_prompt",
    "weight_gb_per_second", "weight_gb_per_second_after_prompt", "gb_per_second", "gb_per_second_after_prompt",
    "memory_gb_per_second", "bandwidth_fraction", "bandwidth_fraction_after_prompt",
    "load_heap_bytes", "heap_bytes_per_token", "smallest_matrix_bytes", "samples", "p50_ms", "p95_ms", "bytes_copied_at_most",
    "included_per_second", "rounds", "over_solochain", "included_per_block", "blocks", "seconds", "ended_by", "weight_fullness",
    "length_fullness", "authoring_ms_p50", "finality_seconds_p50", "slot_ms", "weight_limit_ms", "length_limit_bytes",
]
# These have a line for each row: their figures are of different kinds.
LISTS = ["target", "capture", "capture by stakes", "names of an evaluator", "judging", "splitting", "kinds", "chain", "assumptions", "sizes"]


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
    name = row.pop("bench")
    groups.setdefault((name, row.pop("table", name)), []).append(row)
for (bench, name), rows in groups.items():
    print(f"\n### {bench}\n" if name == bench else f"\n### {bench}: {name}\n")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    if name in LISTS:
        table([keys, *([show(row[key]) for key in keys] for row in rows)])
        continue
    figures = [key for key in keys if key not in LABELS]
    figures.sort(key=lambda key: ORDER.index(key) if key in ORDER else len(ORDER))
    table([["", *map(head, rows)], *([key, *(show(row.get(key, "")) for row in rows)] for key in figures)])
