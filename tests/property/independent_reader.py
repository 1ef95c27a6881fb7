"""Verifies a sealed run with the standard library alone: the shortest explanation of schemas/FORMAT.md.

`python independent_reader.py FOLDER` fails with the fact that does not hold. Of JSON Schema it has the keywords that
the schemas of exprec use: for declared types with other keywords, put a complete validator in place of `is_valid`.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

SCHEMAS = (Path(__file__).parents[2] / "schemas").glob("*.schema.json")
RELEASED = {path.name.removesuffix(".schema.json"): json.loads(path.read_bytes()) for path in SCHEMAS}
FILES = {"config.json", "events.jsonl", "exchanges.jsonl", "run.json", "schemas.json", "stderr", "stdout"}
NO_NAME = re.compile(
    r"[\\\x00-\x1f\x7f-\xa0\xad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ud800-\uf8ff\ufeff\ufff0-\ufffb"
    r"\U000e0000-\U000e00ff\U000e01f0-\U0010ffff]|(^|/)(\.{0,2}|\.[gG][iI][tT][^/]*)(/|$)")
TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
LETTERS = {"iteration_start": "S", "bootstrap_evaluation": "B", "llm_call": "c", "policy_change": "d",
           "policy_rejected": "d", "iteration_end": "E"}
OWN = {*LETTERS, *(ENDS := {"experiment_end", "run_end", "experiment_failed"}), "experiment_start", "command_end"}
CALL = {"agent_id": "origin", "iteration": "origin", "attempt": "origin", "prompt_tokens": "usage",
        "completion_tokens": "usage", "cached_tokens": "usage", "reasoning_tokens": "usage", "finish_reason": "answer",
        "answering_model": "answer"}
RENAMED = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "answering_model": "model"}
FLOAT = re.compile(rb'\{\s*"\$float":\s*"(nan|-?inf)"\s*\}')

def read_files(folder):
    paths = list(Path(folder).rglob("*"))
    assert not [path for path in paths if path.is_symlink() or not (path.is_file() or any(path.iterdir()))], "F15, F78"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}

def git_id(node):  # F23 to F25: of a file given its bytes, of a folder given its files by path
    if isinstance(node, bytes):
        return hashlib.sha256(b"blob %d\0" % len(node) + node).digest()
    entries, body = {}, b""
    for path, data in node.items():
        name, slash, below = path.partition("/")
        entries.setdefault((name + slash).encode(), {})[below] = data
    for name, inner in sorted(entries.items()):
        body += (b"40000 " if name[-1:] == b"/" else b"100644 ") + name.rstrip(b"/") + b"\0"
        body += git_id(inner.get("", inner))
    return hashlib.sha256(b"tree %d\0" % len(body) + body).digest()

def write(value, line="", level=0):  # F30 to F36: `line` begins each line of a document, and is empty in a record
    if isinstance(value, float):
        text = repr(value)
        return f"{value:.{len(text.strip('-').replace('.', ''))}f}" if "e-05" in text else text.replace("e-0", "e-")
    if not isinstance(value, dict | list):
        assert not isinstance(value, int) or -(2**63) <= value < 2**64, "F35"
        return json.dumps(value, ensure_ascii=False)
    assert level < 254, "F36"
    keys, inner = sorted(value) if isinstance(value, dict) else range(len(value)), line and line + "  "
    items = [write(value[key], inner, level + 1) for key in keys]
    if isinstance(value, dict):
        items = [f"{write(key)}:{line and ' '}{item}" for key, item in zip(keys, items, strict=True)]
    text = inner + f",{inner}".join(items) + line if items else ""
    return "{" + text + "}" if isinstance(value, dict) else "[" + text + "]"

def parse(data, line=""):
    value = json.loads(data.decode())
    assert isinstance(value, dict) and write(value, line).encode() + b"\n" == data and len(data) <= 2**28, "F29 to F47"
    return value

def is_valid(value, schema):
    if isinstance(schema, bool):
        return schema
    get, kind, name = schema.get, type(value), TYPES.get(type(value), "null")
    pattern = get("pattern", "").replace("$", r"\Z")
    kinds = [get("type")] if isinstance(get("type"), str) else get("type", [name])
    parts, rest = get("properties", {}), get("additionalProperties", True)
    size = len(value) if kind in (str, list, dict) else 0
    return (
        (name in kinds or (kind is int and "number" in kinds)) and any(is_valid(value, x) for x in get("anyOf", [True]))
        and (value == get("const", value) and value in get("enum", [value]))
        and (kind not in (int, float) or get("minimum", value) <= value <= get("maximum", value))
        and (kind is not str or (size >= get("minLength", 0) and re.search(pattern, value) is not None))
        and (kind is not list or (size >= get("minItems", 0) and all(is_valid(x, get("items", True)) for x in value)))
        and (kind is not dict or ({*get("required", ())} <= {*value} and size >= get("minProperties", 0)))
        and (kind is not dict or size <= get("maxProperties", size))
        and (kind is not dict or all(is_valid(value[key], parts.get(key, rest)) for key in value))
        and all({*needed} <= {*value} for key, needed in get("dependentRequired", {}).items() if key in value))

def read_lines(data, key, schemas):  # F13: the records of a file, and the names of the schemas that govern them
    newest = {name.rpartition(".v")[0]: name for name in sorted(schemas, key=lambda n: int(n.rpartition(".v")[2]))}
    lines, names = data.split(b"\n"), []
    assert lines.pop() == b"", "F46"
    for number, record in enumerate(records := [parse(line + b"\n") for line in lines]):
        stem = f"event.{record['event_type']}" if key == "seq" else "exchange"
        names.append(newest[stem if stem in newest or key != "seq" or record["event_type"] in OWN else "event"])
        assert type(record[key]) is int and record[key] == number and is_valid(record, schemas[names[-1]]), "F13, F40"
    return records, names

def called(exchange):  # F59: what a call has of its exchange
    if "origin" not in exchange:
        return exchange
    model = ":".join(part for part in (exchange["provider"], exchange["model"]) if part is not None)
    named = {key: (exchange[part] or {}).get(RENAMED.get(key, key)) for key, part in CALL.items()}
    return {**named, "model": model, "latency_seconds": exchange["latency_seconds"]}

def check_exchanges(exchanges):
    for each in exchanges:
        origin, continues, own = each.get("origin", each), each.get("continues"), each.get("request")
        assert origin is None or (each["answer"] is None) != (origin["error"] is None), "F60"
        assert each.get("after", 0) <= each["index"], "F100"
        if continues is not None:
            before = exchanges[: each["index"]][continues["exchange"]]
            own, old, above = own["json"], before["request"]["json"], before["continues"] or {"same": [], "first": {}}
            assert type(own) is type(old) is dict, "F101"
            assert {*continues["same"]} <= {*old, *above["same"]} - {*own}, "F101"
            for key, count in continues["first"].items():
                assert type(own[key]) is type(old[key]) is list, "F101"
                assert count <= len(old[key]) + above["first"].get(key, 0), "F101"
    assert sorted(each.get("arrival", each["index"]) for each in exchanges) == [*range(len(exchanges))], "F100"

def check_order(events, kinds, names):
    known = [kind * (name in RELEASED and name != "event.v1") for kind, name in zip(kinds, names, strict=True)]
    own = {kind: [event for event in events if known[event["seq"]] == kind] for kind in OWN}
    text = "".join(LETTERS.get(kind, ".") for kind in known)
    numbers = [event["iteration"] for event in events if event["iteration"] != 0]
    assert numbers == sorted(numbers) and all(type(number) is int and number > 0 for number in numbers), "F41"
    assert kinds[-1] in ENDS and not {*kinds[:-1]} & ENDS and "command_end" not in kinds[:-2], "F19, F83"
    costs, ends = [event["total_cost"] for event in own["iteration_start"]], re.sub("[^SE]", "", text)
    agents = next((event["agents"] for event in own["experiment_start"]), None)
    assert not any(e["seq"] for e in own["experiment_start"]) and len({*(agents or [])}) == len(agents or []), "F49"
    assert [event["iteration"] for event in own["iteration_start"]] == [*range(1, len(costs) + 1)], "F50"
    assert not costs or (re.fullmatch("(SE)*S*", ends) and not re.search("(?<!S)B", text)), "F51, F55"
    for number in {*numbers}:
        group = [event for event in events if event["iteration"] == number]
        part = "".join(text[event["seq"]] for event in group)
        assert not re.search(".S|E.", part) and not (costs and part[0] in "BcdE"), "F50, F55"
        turn, acts = 0, re.sub("[^cd]", "", part)
        for event in group if agents is not None else ():
            assert text[event["seq"]] not in "cd" or event["agent_id"] in agents[turn : turn + 1], "F58"
            turn += text[event["seq"]] == "d"
        if part[-1] == "E" and agents is not None:
            is_met = group[-1].get("convergence", {}).get("met")
            assert turn in (0, len(agents)) and not acts.endswith("c") and not (turn and is_met), "F58"
    said = [event.get("costs", {}).get("type") for event in own["experiment_start"]]
    paying = [event for kind in (*LETTERS, "experiment_end") for event in own[kind]]
    costly = [part for event in paying for part in (event, *event.get("seed_results", ()))]
    paid = write([part[key] for part in costly for key in part if "cost" in key or key == "deltas"])
    assert "number" in said or not re.search("[.e]", re.sub(r'"(\\.|[^"])*"', "", paid)), "F99"
    for event in own["experiment_end"]:
        assert not costs or (re.fullmatch("(SE)*|S*", ends) and event["final_cost"] == costs[-1]), "F55, F56"
        assert event["best_cost"] == min(costs, default=event["best_cost"]), "F56"
        assert event["num_iterations"] == len({*numbers}) or not numbers, "F56"
        lost = sum(rejected["rejection_reason"] == "llm_error" for rejected in own["policy_rejected"])
        counted = {"usable": len(own["policy_change"]), "failed": lost, "rejected": len(own["policy_rejected"]) - lost}
        assert event.get("proposals", counted) == counted, "F56"
        assert not numbers or event.get("best_iteration", 1) <= event["num_iterations"], "F56"
    for event in own["command_end"]:
        assert None in (event["exit_status"], event["signal"]), "F83"
        assert event["exit_status"] == 0 or not own["run_end"], "F84"

def verify(folder):
    for path in (files := read_files(folder)).keys() - FILES:
        sizes = [len(path.encode()) - 1000 + 190, *(len(part.encode()) for part in path.split("/"))]
        assert path.startswith("artifacts/") and not NO_NAME.search(path) and max(sizes) <= 200, "F15, F78"
    head, _, schemas = (parse(files[name], "\n") for name in ("run.json", "config.json", "schemas.json"))
    digests = {path: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for path, data in files.items()}
    assert head["files"] == {path: digests[path] for path in files if path != "run.json"}, "F17"
    assert is_valid(head, RELEASED["run.v1"]) and head["inputs"] == digests["config.json"]["sha256"], "F14, F20"
    assert Path(folder).name == git_id(files).hex(), "F2"
    for name, schema in schemas.items():
        assert re.fullmatch(r"(event|event\..+|exchange)\.v[1-9][0-9]{0,8}|float\.v1", name, re.DOTALL), "F13"
        assert write(schema) == write(RELEASED.get(name, schema)), "F13"
    exchanges, asked = read_lines(files.get("exchanges.jsonl", b""), "index", schemas)
    events, names = read_lines(files["events.jsonl"], "seq", schemas)
    assert "float.v1" not in schemas or FLOAT.search(files["config.json"] + files["events.jsonl"]), "F108"
    assert {*asked, *names} == {*schemas} - {"float.v1"} and ("exchanges.jsonl" in files) == bool(exchanges), "F12, F13"
    kinds = [event["event_type"] for event in events]
    assert {x in [*files, *kinds] for x in ("stdout", "stderr", "command_end")} == {head["type"] == "command"}, "F76"
    check_order(events, kinds, names)
    check_exchanges(exchanges)
    for event in (event for event in events if event["event_type"] == "llm_call"):
        exchange = called(exchanges[event["exchange"]])
        assert all(write(event[key]) == write(exchange[key]) for key in event.keys() & exchange.keys()), "F59"
    by_type, iterations = {kind: kinds.count(kind) for kind in kinds}, {event["iteration"] for event in events} - {0}
    counted = [len(events), len(exchanges), len(iterations), by_type]
    assert [head["counts"][key] for key in ("events", "exchanges", "iterations", "by_type")] == counted, "F18"
    fields = {key: value for key, value in events[-1].items() if key not in ("seq", "event_type", "iteration")}
    outcome = ["failed", None, fields] if kinds[-1] == "experiment_failed" else ["completed", fields, None]
    assert write([head["status"], head["result"], head["failure"]]) == write(outcome), "F19"

if __name__ == "__main__":
    verify(sys.argv[1])
