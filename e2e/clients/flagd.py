"""Plays scenarios of flagd's testbed through the OpenFeature provider for flagd, one JSON line per case.

flagd.py PORT FEATURE_FILE...
"""

import json
import logging
import os
import pathlib
import re
import sys

from gherkin import cases
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import CacheType
from openfeature.evaluation_context import EvaluationContext

logging.disable(logging.CRITICAL)
STEPS = []


class NotApplicable(Exception):
    """A step about the provider's own options, which no server has a part in."""


def step(pattern):
    def register(function):
        STEPS.append((re.compile(pattern + "$"), function))
        return function

    return register


def typed(kind, text):
    if kind == "Boolean":
        return text.lower() == "true"
    if kind == "Object":
        return json.loads(text.replace('\\"', '"') or "{}")
    return {"String": str, "Integer": int, "Float": float}[kind](text)


class World:
    def __init__(self):
        self.kind = self.key = self.default = self.details = self.targeting_key = None
        self.attributes = {}


@step(r'an option "cache" of type "CacheType" with value "disabled"')
def cache_disabled(world):
    """Every case is played without a cache."""


@step(r'an option "(.*)" of type "(.*)" with value "(.*)"')
def option(world, name, kind, value):
    raise NotApplicable(f"option `{name}`")


@step(r"a stable flagd provider|an evaluator")
def stable(world):
    """It was made before the first case."""


@step(r'a (\w+)-flag with key "(.*)" and a (?:default|fallback) value "(.*)"')
def flag(world, kind, key, default):
    world.kind, world.key, world.default = kind, key, typed(kind, default)


@step(r'a context containing a key "(.*)", with type "(.*)" and with value "(.*)"')
def attribute(world, name, kind, value):
    world.attributes[name] = typed(kind, value)


@step(r'a context containing a targeting key with value "(.*)"')
def targeting_key(world, value):
    world.targeting_key = value


@step(r'a context containing a nested property with outer key "(.*)" and inner key "(.*)", with value "(.*)"')
def nested(world, outer, inner, value):
    world.attributes[outer] = {inner: value}


@step(r"the flag was evaluated with details")
def evaluated(world):
    ask = getattr(api.get_client(), f"get_{world.kind.lower()}_details")
    context = EvaluationContext(targeting_key=world.targeting_key, attributes=world.attributes)
    world.details = ask(world.key, world.default, context)


@step(r'the resolved details value should be "(.*)"')
def value(world, wanted):
    equal(world, world.details.value, typed(world.kind, wanted))


@step(r'the reason should be "(.*)"')
def reason(world, wanted):
    got = world.details.reason
    equal(world, getattr(got, "value", got), wanted)


@step(r'the error-code should be "(.*)"')
def error_code(world, wanted):
    got = world.details.error_code
    equal(world, got.value if got else "", wanted)


@step(r'the variant should be "(.*)"')
def variant(world, wanted):
    equal(world, world.details.variant, wanted)


@step(r"the resolved metadata is empty")
def no_metadata(world):
    equal(world, dict(world.details.flag_metadata), {})


@step(r"the resolved metadata should contain")
def metadata(world, table):
    wanted = {key: typed(kind, text) for key, kind, text in table[1:]}
    got = world.details.flag_metadata
    equal(world, {key: got.get(key) for key in wanted}, wanted)


def equal(world, got, wanted):
    if got != wanted or isinstance(got, bool) != isinstance(wanted, bool):
        details = world.details
        raise AssertionError(f"{got!r} instead of {wanted!r} ({details.reason}, {details.error_code}, {details.error_message})")


def play(case):
    world = World()
    for one in case.steps:
        for pattern, function in STEPS:
            match = pattern.match(one.text)
            if match:
                function(world, *match.groups(), *([one.table] if one.table else []))
                break
        else:
            raise NotApplicable(f"step `{one.text}`")
    return world


def main():
    port, *files = sys.argv[1:]
    provider = FlagdProvider(host="127.0.0.1", port=int(port), cache=CacheType.DISABLED, deadline_ms=5000)
    api.set_provider_and_wait(provider)
    for file in files:
        for case in cases(pathlib.Path(file)):
            told = {"file": pathlib.Path(file).name, "scenario": case.scenario, "example": case.example, "tags": sorted(case.tags)}
            text = " ".join(s.text for s in case.steps)
            key = re.search(r'-flag with key "([^"]*)"', text)
            told["key"] = key.group(1) if key else None
            try:
                play(case)
                told["outcome"] = "passed"
            except NotApplicable as why:
                told |= {"outcome": "not applicable", "why": str(why)}
            except Exception as why:  # also what the provider throws is an outcome
                told |= {"outcome": "failed", "why": str(why) or repr(why)}
            print(json.dumps(told), flush=True)
    # The provider's threads wait for the network when they are told to stop.
    os._exit(0)


main()
