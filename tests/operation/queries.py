"""Asks a Prometheus that watches a real network: `queries.py URL INTERVAL SECONDS` prints `ok`, or what has no answer.

Every panel's query must return numbers, every metric of an alert must be there, no alert on what is now may fire, every target must be up,
and docs/operations.md must list what workers expose, no more and no less. INTERVAL stands for Grafana's $__rate_interval;
measurements take a while to come, so that it asks again for as many SECONDS.
"""

import json
import math
import sys
import time
import urllib.parse
import urllib.request

from common import INTERVAL, alerts, documented, metrics, panels

URL, RATE, SECONDS = sys.argv[1], sys.argv[2], float(sys.argv[3])


def ask(path, **params):
    with urllib.request.urlopen(f"{URL}/api/v1/{path}?{urllib.parse.urlencode(params)}", timeout=10) as answer:
        return json.load(answer)["data"]


def numbers(expr):
    """How many series `expr` returns, those that are no number left out."""
    values = [float(series["value"][1]) for series in ask("query", query=expr)["result"]]
    return sum(not math.isnan(value) for value in values)


def look():
    """Everything that is wrong now."""
    problems = []
    for target in ask("targets", state="active")["activeTargets"]:
        if target["health"] != "up":
            problems.append(f"target {target['labels']['instance']} is {target['health']}: {target['lastError']}")
    for dashboard, panel, expr in panels():
        if not numbers(expr.replace(INTERVAL, RATE)):
            problems.append(f"{dashboard}: panel {panel!r} shows nothing: {expr}")
    present = set(ask("label/__name__/values"))
    exposed = metrics("\n".join(present))
    for rule in alerts():
        absent = metrics(rule["expr"]) - exposed
        if absent:
            problems.append(f"alert {rule['alert']} looks at {sorted(absent)}, which nothing exposes")
    for group in ask("rules")["groups"]:
        for rule in group["rules"]:
            # A network that starts has a failure or two, and alerts that count them over minutes remember it.
            fires = rule["state"] == "firing" and "increase(" not in rule["query"]
            if rule["health"] != "ok" or fires:
                problems.append(f"alert {rule['name']} is {rule['state']}, {rule['health']}: {rule.get('lastError', '')}")
    listed = documented()
    ours = {name for name in exposed if name.startswith("blyan_")}
    if ours - listed.keys():
        problems.append(f"docs/operations.md does not list {sorted(ours - listed.keys())}")
    spare = {name for name, sometimes in listed.items() if not sometimes} - exposed
    if spare:
        problems.append(f"docs/operations.md lists what nothing exposes: {sorted(spare)}")
    return problems


deadline = time.monotonic() + SECONDS
while True:
    try:
        problems = look()
    except OSError as error:
        problems = [f"{URL} does not answer: {error}"]
    if not problems:
        print("ok")
        sys.exit()
    if time.monotonic() > deadline:
        sys.exit("\n".join(problems))
    time.sleep(1)
