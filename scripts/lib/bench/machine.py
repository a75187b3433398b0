"""Prints what was measured, and on what, as one JSON line: `machine.py REPOSITORY`."""

import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def commit(folder):
    command = ["git", "-C", folder, "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"


print(json.dumps({
    "bench": "machine",
    "cpu": processor(),
    "processors": len(os.sched_getaffinity(0)),
    "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    "system": f"{platform.system()} {platform.release()}",
    "date": datetime.date.today().isoformat(),
    "commit": commit(sys.argv[1]),
}))
