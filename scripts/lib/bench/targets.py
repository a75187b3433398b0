"""Reads a file of JSON lines; prints one more for each figure that a target was set for and that was measured.

Decoding is taken after the prompt, as llama.cpp's is, so that the keys and values of the context are read in both. Each side
is taken at its best number of threads. Both execute every parameter of the same dense base for a token, so that tokens a
second a parameter have the ratio of tokens a second. The memory's bandwidth is the most that any number of threads reached.
"""

import json
import sys

rows = [json.loads(line) for line in open(sys.argv[1])]
ours = [row for row in rows if row["bench"] == "model"]
theirs = [row for row in rows if row["bench"] == "llama" and row.get("weights") == "Q8_0"]
transfers = [row for row in rows if row["bench"] == "throughput" and "over_solochain" in row]
tiles = {row["operation"]: row for row in rows if row["bench"] == "blocks"}
# Committees of the default size, with 33 % of the stake colluding: of endlessly many equal stakes, and as others lie.
default = [row for row in rows if row.get("members") == 51 and row.get("colluding") == 0.33]
captured = [("very many equal stakes" if row["table"] == "capture" else row["stakes"], row["captured"]) for row in default]


def best(of, key):
    return max(row[key] for row in of)


def target(what, found, asked, least=None, below=None):
    met = found >= least if least is not None else found < below
    print(json.dumps({"bench": "target", "what": what, "found": found, "asked": asked, "met": "yes" if met else "no"}))


if ours and theirs:
    target(
        "decode, weight bytes read a second, over llama.cpp Q8_0",
        best(ours, "weight_gb_per_second_after_prompt") / best(theirs, "weight_gb_per_second"),
        ">= 1.5",
        least=1.5,
    )
if ours:
    memory = best(ours, "memory_gb_per_second")
    target(
        "decode, bytes read a second, over the memory's bandwidth",
        best(ours, "gb_per_second_after_prompt") / memory,
        ">= 0.6",
        least=0.6,
    )
    one, two = ([row for row in ours if row["threads"] == threads] for threads in (1, 2))
    if one and two:
        speeds = ["prefill", "decode", "decode_after_prompt"]
        target(
            "two threads over one, the least of prefill and decode",
            min(best(two, f"{speed}_tokens_per_second") / best(one, f"{speed}_tokens_per_second") for speed in speeds),
            ">= 1",
            least=1,
        )
if ours and theirs:
    target(
        "prefill, tokens a second and active parameter, over llama.cpp Q8_0",
        best(ours, "prefill_tokens_per_second") / best(theirs, "prefill_tokens_per_second"),
        ">= 0.8",
        least=0.8,
    )
if "load" in tiles:
    target("tile load, warm, p95 in ms", tiles["load"]["p95_ms"], "< 1", below=1)
if ours:
    # What is allocated at all bounds what can have been copied.
    copied = max(best(ours, "load_heap_bytes"), best(ours, "heap_bytes_per_token"))
    smallest = best(ours, "smallest_matrix_bytes")
    target(
        "0 bytes of weights copied on the serving path: allocated at most",
        copied,
        f"< {smallest:,}, the smallest matrix",
        below=smallest,
    )
if transfers:
    target(
        "transfers included a second, over the SDK's plain solochain",
        best(transfers, "over_solochain"),
        ">= 1",
        least=1,
    )
for stakes, chance in captured:
    target(f"capture of a committee of 51 with 33 % of the stake: {stakes}", chance, "< 0.000001", below=1e-6)
