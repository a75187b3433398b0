"""Reads a file of JSON lines; prints one more, Blyan's speed over llama.cpp's on Q8_0, where both were measured.

Each is taken at its best number of threads. Both execute every parameter of the same dense base for a token, so that tokens
a second and tokens a second a parameter have the same ratio. Decoding follows the prompt in both.
"""

import json
import sys

rows = [json.loads(line) for line in open(sys.argv[1])]
ours = [row for row in rows if row["bench"] == "model"]
theirs = [row for row in rows if row["bench"] == "llama" and row["weights"] == "Q8_0"]
if ours and theirs:
    read = max(r["decode_after_prompt_tokens_per_second"] * r["bytes_per_token"] / 1e9 for r in ours)
    decode = max(r["decode_after_prompt_tokens_per_second"] for r in ours)
    prefill = max(r["prefill_tokens_per_second"] for r in ours)
    best = lambda key: max(row[key] for row in theirs)
    print(json.dumps({
        "bench": "ratio",
        "against": "llama.cpp Q8_0",
        "decode_weight_bytes_per_second": read / best("weight_gb_per_second"),
        "decode_tokens_per_second": decode / best("decode_tokens_per_second"),
        "prefill_tokens_per_second": prefill / best("prefill_tokens_per_second"),
    }))
