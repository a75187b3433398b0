"""Prints a file of JSON lines as tables, one for each benchmark."""

import json
import sys


def show(value):
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


groups = {}
for line in open(sys.argv[1]):
    row = json.loads(line)
    groups.setdefault((row.pop("bench"), tuple(row)), []).append(row)
for (name, columns), rows in groups.items():
    print(f"\n{name}")
    cells = [columns, *([show(row[column]) for column in columns] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths)))
