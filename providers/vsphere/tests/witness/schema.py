"""Holds recorded calls of the REST API against the types that Broadcom publishes (PyPI, vmware-vcenter).

schema.py RECORD: every operation of OPERATIONS must be in the record, and every request and answer must be of its type:
by Broadcom's own converter, and by a stricter reading of the same types, for the converter lets unknown fields, unknown
words and texts for truths pass. The second line says how many faults, planted into the same record one by one, were
refused; one that passes is a failure.
"""

import copy
import datetime
import importlib
import json
import re
import sys

from vmware.vapi.bindings import stub, type as types
from vmware.vapi.bindings.converter import RestConverter, TypeConverter
from vmware.vapi.data.serializers.cleanjson import DataValueConverter

# The interface of each operation that the provider uses, and the operation.
OPERATIONS = [
    ("com.vmware.cis_client", "Session", "create"),
    ("com.vmware.cis_client", "Session", "delete"),
    ("com.vmware.cis_client", "Tasks", "get"),
    ("com.vmware.cis_client", "Tasks", "list"),
    ("com.vmware.cis_client", "Tasks", "cancel"),
    ("com.vmware.esx.settings.clusters.enablement_client", "Software", "get"),
    ("com.vmware.esx.settings.clusters_client", "Software", "get"),
    ("com.vmware.esx.settings.clusters_client", "Software", "scan$task"),
    ("com.vmware.esx.settings.clusters_client", "Software", "check$task"),
    ("com.vmware.esx.settings.clusters_client", "Software", "stage$task"),
    ("com.vmware.esx.settings.clusters_client", "Software", "apply$task"),
    ("com.vmware.esx.settings.clusters.software_client", "Compliance", "get"),
    ("com.vmware.esx.settings.clusters.software.reports_client", "LastCheckResult", "get"),
    ("com.vmware.esx.settings.clusters.policies.apply_client", "Effective", "get"),
]

# What a task's result is, which its own type leaves open.
RESULTS = {
    "apply$task": ("com.vmware.esx.settings.clusters_client", "Software.ApplyResult"),
    "stage$task": ("com.vmware.esx.settings.clusters_client", "Software.StageResult"),
    "check$task": ("com.vmware.esx.settings.clusters_client", "Software.CheckResult"),
    "scan$task": ("com.vmware.esx.settings_client", "ClusterCompliance"),
}

# The types of errors: https://developer.broadcom.com, vSphere Automation API, Standard errors.
ERROR = "com.vmware.vapi.std.errors_client"


class Wrong(Exception):
    """What is not of its type, and where."""


def binding(module, path):
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found.get_binding_type()


def operations():
    """Each operation with its verb, path and types."""
    seen = {}

    def capture(self, iface_name, config, operations, rest_metadata=None, is_vapi_rest=None):
        seen["operations"], seen["rest"] = operations, rest_metadata

    stub.ApiInterfaceStub.__init__ = capture
    for module, interface, name in OPERATIONS:
        getattr(importlib.import_module(module), f"_{interface}Stub")(None)
        told, rest = seen["operations"][name], seen["rest"][name.split("$")[0]]
        yield {
            "name": f"{interface}.{name}",
            "method": rest.http_method,
            "path": re.compile(re.sub(r"\{\w+\}", "[^/]+", rest._url_template.split("?")[0]) + "$"),
            "action": rest._dispatch_parameters.get("action"),
            "body": told["input_type"].get_field(rest.request_body_parameter)
            if rest.request_body_parameter
            else None,
            "answer": told["output_type"],
            "errors": told["errors"],
        }


def strict(kind, value, at):
    """Whether a value is of its type, with no field, word or form that the type does not name."""
    if isinstance(kind, types.ReferenceType):
        kind = kind.resolved_type
    if isinstance(kind, types.OptionalType):
        return strict(kind.element_type, value, at)
    if isinstance(kind, types.StructType):
        expect(isinstance(value, dict), at, "an object", value)
        fields = kind.get_field_names()
        for name in value:
            expect(name in fields, at, f"one of {sorted(fields)}", name)
        for name in fields:
            field = kind.get_field(name)
            if name in value:
                strict(field, value[name], f"{at}.{name}")
            else:
                expect(isinstance(field, types.OptionalType), at, name, "nothing")
    elif isinstance(kind, types.EnumType):
        known = [word for word in vars(kind.binding_class) if word.isupper()]
        expect(value in known, at, f"one of {known}", value)
    elif isinstance(kind, (types.ListType, types.SetType)):
        expect(isinstance(value, list), at, "a list", value)
        for n, item in enumerate(value):
            strict(kind.element_type, item, f"{at}[{n}]")
        if isinstance(kind, types.SetType):
            expect(len(set(map(str, value))) == len(value), at, "a set", value)
    elif isinstance(kind, types.MapType):
        expect(isinstance(value, dict), at, "a map", value)
        for key, item in value.items():
            strict(kind.value_type, item, f"{at}.{key}")
    elif isinstance(kind, types.BooleanType):
        expect(isinstance(value, bool), at, "a truth", value)
    elif isinstance(kind, types.IntegerType):
        expect(isinstance(value, int) and not isinstance(value, bool), at, "a number", value)
    elif isinstance(kind, (types.IdType, types.StringType, types.SecretType)):
        expect(isinstance(value, str), at, "a text", value)
    elif isinstance(kind, types.DateTimeType):
        expect(isinstance(value, str) and date(value), at, "a time such as 2026-11-01T00:00:00.000Z", value)
    elif isinstance(kind, types.AnyErrorType):
        error(value, at)
    elif isinstance(kind, types.VoidType):
        expect(value is None, at, "nothing", value)
    elif isinstance(kind, (types.OpaqueType, types.DynamicStructType)):
        pass  # its form is that of RESULTS
    else:
        raise Wrong(f"{at}: this checker does not know {type(kind).__name__}")


def expect(holds, at, expected, found):
    if not holds:
        raise Wrong(f"{at}: expected {expected}, found {found!r}")


def date(text):
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        return None


def error(value, at):
    """An error is of the type that its error_type names."""
    expect(isinstance(value, dict) and isinstance(value.get("error_type"), str), at, "an error", value)
    name = "".join(part.capitalize() for part in value["error_type"].split("_"))
    found = getattr(importlib.import_module(ERROR), name, None)
    expect(found is not None, at, "a standard error", value["error_type"])
    strict(found.get_binding_type(), value, at)
    return f"com.vmware.vapi.std.errors.{value['error_type'].lower()}"


def converted(kind, value, at):
    """The same by Broadcom's own converter, with what it knows of unions."""
    try:
        read = DataValueConverter.convert_to_data_value(json.dumps(value))
        made = TypeConverter.convert_to_python(read, kind, None, RestConverter.VAPI_REST)
        for one in made if isinstance(made, (list, set)) else [made]:
            if hasattr(one, "validate_constraints"):
                one.validate_constraints()
    except Exception as refusal:
        raise Wrong(f"{at}: {refusal}") from refusal


def both(kind, value, at):
    strict(kind, value, at)
    if not isinstance(kind, types.VoidType):
        converted(kind, value, at)


def tasks(record, operation):
    """The tasks in an answer."""
    name, answer = operation["name"], record["answer"]
    if name == "Tasks.get":
        return [answer]
    return list(answer.values()) if name == "Tasks.list" else []


def judge(record, known):
    """The operation of a record whose request and answer are of their types."""
    matches = [
        op
        for op in known
        if op["method"] == record["method"]
        and op["path"].match(record["path"])
        and op["action"] == record["query"].get("action")
    ]
    at = f"{record['method']} {record['path']} {record['query']}"
    expect(len(matches) == 1, at, "an operation of the provider", f"{len(matches)} of them")
    operation = matches[0]
    if operation["name"].endswith("$task"):
        expect(record["query"].get("vmw-task") == "true", at, "vmw-task=true", record["query"])
    if operation["body"] is None:
        expect(record["body"] is None, at, "no body", record["body"])
    else:
        both(operation["body"], record["body"], f"{at} request")
    if record["status"] >= 400:
        kind = error(record["answer"], f"{at} answer")
        expect(kind in operation["errors"], at, f"one of {sorted(operation['errors'])}", kind)
        return None
    statuses = {"POST": (201, 202), "GET": (200,)}[record["method"]] if not isinstance(operation["answer"], types.VoidType) else (204,)
    expect(record["status"] in statuses, at, statuses, record["status"])
    both(operation["answer"], record["answer"], f"{at} answer")
    for task in tasks(record, operation):
        if task.get("result") is not None and task["operation"] in RESULTS:
            both(binding(*RESULTS[task["operation"]]), task["result"], f"{at} result")
    return operation["name"]


def planted(value):
    """The value with one fault in it, each way that there is."""
    if isinstance(value, dict):
        yield {**value, "surplus": 1}
        for key, inner in value.items():
            for bad in planted(inner):
                yield {**value, key: bad}
    elif isinstance(value, list):
        yield {"not": "a list"}
        for n, inner in enumerate(value):
            for bad in planted(inner):
                yield value[:n] + [bad] + value[n + 1 :]
    elif isinstance(value, bool):
        yield str(value).lower()
    elif isinstance(value, str):
        yield 7
        if value.isupper() and value.replace("_", "").isalpha():
            yield "MAYBE"
    elif value is not None:
        yield str(value)


def main():
    known = list(operations())
    with open(sys.argv[1], encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    seen, forms = set(), {}
    for record in records:
        name = judge(record, known)
        seen.add(name)
        # One of each form is enough to plant faults into.
        form = (name, record["status"], re.sub(r"[0-9]+", "", json.dumps(record["answer"])))
        forms.setdefault(form, record)
    missing = {op["name"] for op in known} - seen
    if missing:
        raise Wrong(f"never recorded: {sorted(missing)}")
    refused, passed = 0, []
    for record in forms.values():
        for part in ("body", "answer"):
            for bad in planted(record[part]):
                faulty = copy.deepcopy(record)
                faulty[part] = bad
                try:
                    judge(faulty, known)
                    passed.append(f"{record['method']} {record['path']}: {part}: {json.dumps(bad)[:300]}")
                except Wrong:
                    refused += 1
    if passed:
        raise Wrong("planted faults that pass:\n" + "\n".join(passed[:20]))
    print(f"{len(records)} calls of {len(known)} operations are of their types")
    print(f"{refused} planted faults were refused")


if __name__ == "__main__":
    try:
        main()
    except Wrong as wrong:
        sys.exit(f"{wrong}")
