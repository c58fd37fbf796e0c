"""contracts/ and every other data file: well formed, and of the shape their kind has."""

import json
import re

import jsonschema
import yaml

from tidy.tree import Finding, Tree

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
STATUS = re.compile(r"[1-5](\d\d|XX)|default")
OPENAPI = re.compile(r"contracts/http/[a-z-]+\.yaml")
EVENT = re.compile(r"contracts/events/([a-z]+\.[a-z_]+)\.json")
SCHEMA_KEYS = ("schema",)


class DuplicateKey(ValueError):
    pass


class StrictLoader(yaml.SafeLoader):
    """YAML 1.1 allows a key twice and takes the last: a mistake nobody sees. Own tags are left as they are."""


def strict_mapping(loader: StrictLoader, node: yaml.MappingNode, deep: bool = False):
    seen = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
            continue
        if key_node.value in seen:
            raise DuplicateKey(f'line {key_node.start_mark.line + 1}: "{key_node.value}" stands twice')
        seen.add(key_node.value)
    loader.flatten_mapping(node)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, strict_mapping)
StrictLoader.add_multi_constructor("!", lambda loader, suffix, node: None)


def no_duplicates(pairs: list[tuple]) -> dict:
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise DuplicateKey(f"a member stands twice among {names[:6]}")
    return dict(pairs)


def load_yaml(text: str) -> list:
    return list(yaml.load_all(text, StrictLoader))  # noqa: S506 - it derives from SafeLoader


def load(tree: Tree, file: str):
    if file.endswith(".json"):
        return json.loads(tree.text(file), object_pairs_hook=no_duplicates)
    return load_yaml(tree.text(file))


def is_template(file: str) -> bool:
    return "/templates/" in file  # Helm's: not YAML before they are rendered


def data_files(tree: Tree):
    for file in tree.having(".json", ".yaml", ".yml"):
        if is_template(file):
            continue
        try:
            load(tree, file)
        except (ValueError, yaml.YAMLError) as error:
            yield Finding(file, 1, "data-file", " ".join(str(error).split())[:200])


def loadable(tree: Tree, pattern: re.Pattern):
    """(file, document) of what data_files has nothing to say about."""
    for file in tree.files:
        if pattern.fullmatch(file):
            try:
                document = load(tree, file)
            except (ValueError, yaml.YAMLError):
                continue
            yield file, document if file.endswith(".json") else document[0]


def resolve(document: dict, reference: str) -> bool:
    if not reference.startswith("#/"):
        return False
    node = document
    for part in reference[2:].split("/"):
        part = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def walk(node, path: str = ""):
    """Every (path, object) of a document."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            yield from walk(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, f"{path}/{index}")


def schema_problem(schema: dict) -> str | None:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return error.message[:160]
    return None


def operations(document: dict):
    for path, item in (document.get("paths") or {}).items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, item, operation


def parameters_of(document: dict, *holders: dict) -> set[str]:
    names = set()
    for holder in holders:
        for parameter in holder.get("parameters", []):
            reference = parameter.get("$ref", "")
            if reference:
                parameter = (document.get("components", {}).get("parameters", {})).get(reference.rsplit("/", 1)[-1], {})
            if parameter.get("in") == "path":
                names.add(parameter.get("name"))
    return names


def operation_problems(document: dict):
    seen: set[str] = set()
    for path, method, item, operation in operations(document):
        place = f"{method.upper()} {path}"
        name = operation.get("operationId")
        if not name or name in seen:
            yield f"{place}: an operationId of its own is missing"
        seen.add(name)
        responses = operation.get("responses") or {}
        if not responses:
            yield f"{place}: no responses"
        for status, response in responses.items():
            if not isinstance(status, str) or not STATUS.fullmatch(status):
                yield f"{place}: {status!r} is no status (write it in quotes)"
            if "$ref" not in response and not response.get("description"):
                yield f"{place}: response {status} has no description"
        wanted, given = set(re.findall(r"{([^}]+)}", path)), parameters_of(document, item, operation)
        if wanted != given:
            yield f"{place}: path parameters are {sorted(wanted)}, described are {sorted(given)}"


def document_problems(document: dict):
    if not str(document.get("openapi", "")).startswith("3.1."):
        yield "openapi must be 3.1.x"
    if not (document.get("info") or {}).get("title") or not document["info"].get("version"):
        yield "info needs title and version"
    if not document.get("paths"):
        yield "no paths"
    for path in document.get("paths") or {}:
        if not path.startswith("/"):
            yield f"{path}: a path begins with /"
    for path, node in walk(document):
        reference = node.get("$ref")
        if isinstance(reference, str) and not resolve(document, reference):
            yield f"{path}: {reference} leads nowhere"
        for key in SCHEMA_KEYS:
            if isinstance(node.get(key), dict) and (problem := schema_problem(node[key])):
                yield f"{path}/{key}: {problem}"
    for name, schema in (document.get("components", {}).get("schemas") or {}).items():
        if problem := schema_problem(schema):
            yield f"components/schemas/{name}: {problem}"


def openapi(tree: Tree):
    for file, document in loadable(tree, OPENAPI):
        if file == "contracts/http/problems.yaml":
            continue
        for problem in [*document_problems(document), *operation_problems(document)]:
            yield Finding(file, 1, "openapi", problem)


def event_schema(tree: Tree):
    for file, schema in loadable(tree, EVENT):
        if problem := schema_problem(schema):
            yield Finding(file, 1, "event-schema", problem)
            continue
        examples = schema.get("examples") or []
        if not examples:
            yield Finding(file, 1, "event-schema", "an example is missing (examples: […])")
        for example in examples:
            for error in jsonschema.Draft202012Validator(schema).iter_errors(example):
                yield Finding(file, 1, "event-schema", f"the example is refused: {error.message[:160]}")


RULES = [data_files, openapi, event_schema]
