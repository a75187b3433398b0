"""What the checks of the operation share: where things are, and which metrics a file names."""

import json
import os
import re
from pathlib import Path

import yaml

ROOT = Path(os.environ["BLYAN_ROOT"])
TOOLS = Path(os.environ["BLYAN_OPERATION"])
DOCKER = ROOT / "docker"
DOCS = ROOT / "docs/operations.md"
RULES = sorted((DOCKER / "prometheus/rules").glob("*.yml"))
DASHBOARDS = sorted((DOCKER / "grafana/dashboards").glob("*.json"))

# What Grafana puts for its variable, as long as four scrapes by default.
INTERVAL = "$__rate_interval"
# A gauge whose name ends as a histogram's count does.
GAUGES = {"substrate_sub_libp2p_peers_count"}
METRIC = re.compile(r"\b(?:blyan|substrate|node)_[a-z0-9_]+\b")


def debian(program):
    """A program of the packages that scripts/lib/operation.sh unpacked."""
    return str(TOOLS / "debian/usr/bin" / program)


def alerts():
    """Every alert: a dictionary as in the rule files."""
    groups = (group for file in RULES for group in yaml.safe_load(file.read_text())["groups"])
    return [rule for group in groups for rule in group["rules"]]


def panels():
    """Every query of every panel: (dashboard, panel, expression)."""
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield file.stem, panel["title"], target["expr"]


def metrics(text):
    """The metrics that `text` names, a histogram once."""
    found = METRIC.findall(text)
    return {name if name in GAUGES else re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def documented():
    """The metrics that docs/operations.md lists: name to whether it is there only in some configurations."""
    found = {}
    for row in re.findall(r"^\| (`.*?) \|(.*)$", DOCS.read_text(), re.M):
        for name in re.findall(r"`((?:blyan|substrate|node)_[a-z0-9_]+)", row[0]):
            found[name] = "only" in row[1].split(".")[-1]
    return found
