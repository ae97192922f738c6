"""Reads the part of Gherkin that flagd's testbed uses: tags, backgrounds, outlines with tagged examples, tables."""

import re
from dataclasses import dataclass, field


@dataclass
class Step:
    text: str
    table: list = field(default_factory=list)


@dataclass
class Case:
    feature: str
    scenario: str
    tags: set
    example: dict
    steps: list


def cells(line):
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def filled(text, example):
    return re.sub(r"<([^<>]+)>", lambda m: example.get(m.group(1), m.group(0)), text)


def cases(path):
    """Every case of a file, outlines written out."""
    feature, feature_tags, background = "", set(), []
    scenarios = []
    pending, steps, rows = set(), None, None
    for raw in path.read_text(encoding="utf8").splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            pending |= set(line.split())
        elif line.startswith("Feature:"):
            feature, feature_tags, pending = line[8:].strip(), pending, set()
        elif line.startswith("Background:"):
            steps = background
        elif re.match(r"Scenario( Outline)?:", line):
            scenario = {"name": line.split(":", 1)[1].strip(), "tags": pending, "steps": [], "examples": []}
            scenarios.append(scenario)
            pending, steps, rows = set(), scenario["steps"], None
        elif line.startswith(("Examples:", "Scenarios:")):
            rows = []
            scenarios[-1]["examples"].append((pending, rows))
            pending = set()
        elif line.startswith("|") and (rows is not None or steps):
            (steps[-1].table if rows is None else rows).append(cells(line))
        elif steps is not None and not line.startswith("|"):
            rows = None
            steps.append(Step(re.sub(r"^(Given|When|Then|And|But) ", "", line)))
    for scenario in scenarios:
        outlines = [(tags, dict(zip(rows[0], row))) for tags, rows in scenario["examples"] for row in rows[1:]]
        for tags, example in outlines or [(set(), {})]:
            written = [
                Step(filled(s.text, example), [[filled(c, example) for c in row] for row in s.table])
                for s in background + scenario["steps"]
            ]
            yield Case(feature, scenario["name"], feature_tags | scenario["tags"] | tags, example, written)
