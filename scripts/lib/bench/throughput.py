"""Reads what the runs of the example `throughput` printed; prints one JSON line for each work of each chain: the median round.

The chains are compared only if their limits are the same: what differs otherwise is what is measured. `over_solochain` is the
median of the rounds' ratios, each of two runs that followed each other.
"""

import json
import statistics
import sys

rows = [json.loads(line) for line in open(sys.argv[1])]
limits = rows[0]["limits"]
for row in rows:
    found = row.pop("limits")
    if found != limits:
        sys.exit(f"error: the limits of {row['chain']} are {found}, those of {rows[0]['chain']} {limits}: not comparable")

groups = {}
for row in rows:
    groups.setdefault((row["work"], row["chain"]), {})[row.pop("round")] = row
for (work, chain), rounds in groups.items():
    speeds = {number: row["included_per_second"] for number, row in rounds.items()}
    median = statistics.median_low(speeds.values())
    row = next(row for row in rounds.values() if row["included_per_second"] == median)
    if len(rounds) > 1:
        row["rounds"] = ", ".join(f"{speeds[number]:.0f}" for number in sorted(speeds))
    peer = groups.get((work, "solochain"), {})
    if peer and chain != "solochain":
        row["over_solochain"] = statistics.median(speeds[n] / peer[n]["included_per_second"] for n in speeds if n in peer)
    row["slot_ms"] = limits["slot_ms"]
    row["weight_limit_ms"] = limits["ref_time"] / 10**9
    row["length_limit_bytes"] = limits["bytes"]
    print(json.dumps(row))
