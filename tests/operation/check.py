"""Checks docker/ and docs/operations.md without starting anything: prints `ok`, or what is wrong.

Tools that others keep judge what they know (the compose specification's schema, promtool, hadolint, shellcheck, Grafana's
types); the rest are rules of our own about what an operator relies on.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from common import DASHBOARDS, DOCKER, DOCS, INTERVAL, ROOT, RULES, TOOLS, alerts, debian, documented, metrics, panels

COMPOSE = DOCKER / "compose.yml"
SETTINGS = re.compile(r"\$\{([A-Z0-9_]+)(?::?([-?])([^}]*))?\}")
# Accounts and flags of well-known keys. They may stand in files that say in their names that they are local.
WELL_KNOWN = re.compile(r"//(Alice|Bob|Charlie|Dave|Eve|Ferdie)\b|--(alice|bob|charlie|dave|eve|ferdie)\b")

problems = []


def expect(condition, problem):
    if not condition:
        problems.append(problem)


def tool(*command, cwd=ROOT):
    """Runs a tool that must be content."""
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    expect(run.returncode == 0, f"{' '.join(map(str, command))}\n{run.stdout}{run.stderr}")


def check_scripts():
    shell = [
        file
        for folder in (ROOT / "scripts", ROOT / ".ci", DOCKER)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and (file.suffix == ".sh" or file.read_bytes()[:2] == b"#!")
    ]
    tool(debian("shellcheck"), "--severity=warning", "--external-sources", *shell)
    tool(TOOLS / "python/bin/hadolint", DOCKER / "Dockerfile")


def check_compose():
    tool(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    text = COMPOSE.read_text()
    compose = yaml.safe_load(text)
    services = compose["services"]
    for name, service in services.items():
        says = lambda condition, what: expect(condition, f"compose.yml: {name} {what}")
        says(service.get("read_only") is True, "can write to its root file system")
        says(service.get("cap_drop") == ["ALL"], "keeps capabilities")
        says("no-new-privileges:true" in service.get("security_opt", []), "can gain privileges")
        says("pids_limit" in service and "limits" in service["deploy"]["resources"], "is not bounded")
        says("max-size" in service["logging"]["options"], "has an unbounded log")
        says("test" in service["healthcheck"] or service["restart"] == "no", "has no health check")
        says("privileged" not in service and service.get("network_mode") != "host", "is not contained")
        image = SETTINGS.sub(lambda m: m[3] or "", service["image"])
        says(re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", image), f"has no exact version: {image}")
        for port in service.get("ports", []):
            says(re.match(r"127\.0\.0\.1:\d+:\d+$", SETTINGS.sub(lambda m: m[3], port)), f"listens to all by default: {port}")
        for other, how in service.get("depends_on", {}).items():
            healthy = "test" in services[other]["healthcheck"]
            says(how["condition"] != "service_healthy" or healthy, f"waits for the health of {other}, which tells none")
            ends = services[other]["restart"] == "no"
            says((how["condition"] == "service_completed_successfully") == ends, f"waits for the end of {other}")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            says(source[0] in "./$" or source in compose["volumes"], f"uses the undeclared volume {source}")
    used = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    expect(set(compose["volumes"]) <= used, "compose.yml declares volumes that no service uses")

    # Settings: each is explained, and each that is explained is used.
    wanted = {match[1] for match in SETTINGS.finditer(text)}
    given = lambda file: set(re.findall(r"^#?([A-Z0-9_]+)=", (DOCKER / file).read_text(), re.M))
    example, local = given(".env.example"), given("local.env")
    expect(example | local >= wanted, f"compose.yml uses settings that nothing explains: {wanted - example - local}")
    expect(wanted >= example | local, f"settings are explained that compose.yml does not use: {(example | local) - wanted}")
    required = {match[1] for match in SETTINGS.finditer(text) if match[2] == "?"}
    expect(local >= required, f"local.env lacks {required - local}")
    expect(example >= required, f".env.example lacks {required - example}")


def check_pins():
    """docker/pin on a copy, with a registry that knows one digest for each image."""
    with tempfile.TemporaryDirectory() as folder:
        copy, programs = Path(folder) / "docker", Path(folder) / "bin"
        shutil.copytree(DOCKER, copy, ignore=shutil.ignore_patterns("keys"))
        for file in (copy / "Dockerfile", copy / "compose.yml"):
            file.write_text(re.sub(r"@sha256:[0-9a-f]{64}", "", file.read_text()))
        programs.mkdir()
        registry = programs / "docker"
        registry.write_text('#!/bin/sh\nprintf "sha256:%s" "$(printf %s "$4" | sha256sum | cut -d" " -f1)"\n')
        registry.chmod(0o755)
        pin = lambda *arguments: subprocess.run(
            [copy / "pin", *arguments], env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, text=True
        )
        expect(pin("--check").returncode == 1, "docker/pin --check is content with images that have no digest")
        for _ in range(2):
            run = pin()
            expect(run.returncode == 0, f"docker/pin fails: {run.stderr}")
        expect(pin("--check").returncode == 0, "docker/pin --check refuses what docker/pin wrote")
        text = (copy / "Dockerfile").read_text() + (copy / "compose.yml").read_text()
        images = re.findall(r"docker\.io/[\w./-]+:[\w.-]+", text)
        pinned = re.findall(r"docker\.io/[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}(?![\w@])", text)
        expect(len(images) == len(pinned) == 5, f"docker/pin pinned {len(pinned)} of {len(images)} images")
        yaml.safe_load((copy / "compose.yml").read_text())


def check_keys():
    for file in sorted(DOCKER.rglob("*")):
        if file.is_file() and not file.relative_to(DOCKER).parts[0].startswith("local"):
            found = WELL_KNOWN.search(file.read_text())
            expect(not found, f"{file.relative_to(ROOT)} names a key that everybody knows: {found and found[0]}")
    keys = {file.name for file in (DOCKER / "local-keys").iterdir()}
    mounted = set(re.findall(r"/keys/([\w-]+\.node-key)", COMPOSE.read_text())) | {"grafana-password"}
    expect(mounted <= keys, f"local-keys lacks {mounted - keys}")


def check_prometheus():
    promtool = debian("promtool")
    tool(promtool, "check", "config", DOCKER / "prometheus/prometheus.yml")
    tool(promtool, "test", "rules", *sorted((DOCKER / "prometheus/tests").glob("*.yml")))
    config = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text())
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    targets = {
        target.split(":")[0]
        for job in config["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    }
    for service in services:
        scraped = service in targets or service in ("model", "grafana", "prometheus")
        expect(scraped, f"prometheus.yml does not scrape {service}")
    expect(targets <= set(services) | {"localhost"}, f"prometheus.yml scrapes {targets - set(services)}, which is no service")


def check_alerts():
    tests = "".join(file.read_text() for file in (DOCKER / "prometheus/tests").glob("*.yml"))
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", DOCS.read_text(), re.M | re.S))
    names = set()
    for rule in alerts():
        name, notes = rule["alert"], rule["annotations"]
        says = lambda condition, what: expect(condition, f"alert {name} {what}")
        says(name not in names, "is there twice")
        names.add(name)
        says(rule["labels"]["severity"] in ("critical", "warning"), "has no severity")
        says({"summary", "description", "runbook_url"} <= notes.keys(), "lacks an annotation")
        says(notes["runbook_url"].endswith(f"/docs/operations.md#{name.lower()}"), "has another runbook's address")
        says(f"  - name: {name}\n" in tests, "has no test in prometheus/tests")
        runbook = sections.get(name, "")
        says(runbook, "has no runbook in docs/operations.md")
        for part in ("**Symptom.**", "**Cause.**", "**Do.**"):
            says(part in runbook, f"has a runbook without {part}")
    spare = {name for name, text in sections.items() if "**Symptom.**" in text} - names
    expect(not spare, f"docs/operations.md has runbooks of no alert: {spare}")


def check_dashboards():
    tool("node", TOOLS / "dashboards.mjs", *DASHBOARDS)
    source = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    scrape = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text())["global"]["scrape_interval"]
    expect(source["jsonData"]["timeInterval"] == scrape, "Grafana takes another scrape interval than Prometheus has")
    folder = yaml.safe_load((DOCKER / "grafana/provisioning/dashboards/blyan.yml").read_text())["providers"][0]
    mounts = yaml.safe_load(COMPOSE.read_text())["services"]["grafana"]["volumes"]
    expect(any(f":{folder['options']['path']}:" in mount for mount in mounts), "Grafana does not see the dashboards")
    for file in DASHBOARDS:
        dashboard = json.loads(file.read_text())
        says = lambda condition, what: expect(condition, f"{file.name}: {what}")
        says(dashboard["uid"] == f"blyan-{file.stem}", "its uid is not its name")
        ids = [panel["id"] for panel in dashboard["panels"]]
        says(len(ids) == len(set(ids)), "two panels have one id")
        taken = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            says(not cells & taken and place["x"] + place["w"] <= 24, f"panel {panel['title']} lies on another")
            taken |= cells
            if panel["type"] != "row":
                says(panel["targets"] and panel.get("description"), f"panel {panel['title']} asks or explains nothing")
                asked = [panel["datasource"]] + [target["datasource"] for target in panel["targets"]]
                says(all(uid["uid"] == source["uid"] for uid in asked), f"panel {panel['title']} asks another data source")
    # promtool reads every query as if it were a recording rule.
    queries = [expr.replace(INTERVAL, "1m") for _, _, expr in panels()]
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(queries)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "panels.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
        tool(debian("promtool"), "check", "rules", file)


def check_documentation():
    listed = documented().keys()
    for what, text in [*((file.name, file.read_text()) for file in RULES + DASHBOARDS)]:
        named = metrics("\n".join(re.findall(r'expr"?: (?:\|\n)?(.*(?:\n {10}.*)*)', text)))
        expect(named, f"{what} names no metric")
        expect(named <= listed, f"docs/operations.md does not list what {what} uses: {sorted(named - listed)}")


for check in (
    check_scripts,
    check_compose,
    check_pins,
    check_keys,
    check_prometheus,
    check_alerts,
    check_dashboards,
    check_documentation,
):
    try:
        check()
    except (KeyError, TypeError, IndexError, OSError, yaml.YAMLError, json.JSONDecodeError) as error:
        problems.append(f"{check.__name__} could not go on: {error!r}")
if problems:
    sys.exit("\n".join(problems))
print("ok")
