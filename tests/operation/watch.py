"""Makes docker/prometheus/prometheus.yml watch programs on this machine: `watch.py NAME:PORT=ADDRESS…` prints the result.

NAME:PORT is a target as the file has it, ADDRESS where it is here. Everything is measured every second.
"""

import sys

import yaml

from common import DOCKER, RULES

places = dict(argument.split("=") for argument in sys.argv[1:])
config = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text())
config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
config["rule_files"] = [str(file) for file in RULES]
for job in config["scrape_configs"]:
    # All addresses have one host here, so that the name that relabelling would take from it is given.
    job.pop("relabel_configs", None)
    job["static_configs"] = [
        {"targets": [places[target]], "labels": {**group.get("labels", {}), "instance": target.split(":")[0]}}
        for group in job["static_configs"]
        for target in group["targets"]
    ]
yaml.safe_dump(config, sys.stdout)
