#!/usr/bin/env python3
"""Reads the schema of the AWS provider out of its published TypeScript bindings.

    extract.py --package provider-aws.tgz --configuration deploy/terraform --output schema.json

The bindings are generated from the provider's own schema and keep all that a check of names needs: each attribute
with its type and whether it is computed, optional or required (a comment above its getter), each block with its
nesting (the `ToHclTerraform` functions). Only the types that the configuration names are read; a type that the
provider has not is left out, so that the tool itself refuses it.
"""
import argparse
import json
import pathlib
import re
import sys
import tarfile

NAMED_TYPE = re.compile(r'^\s*resource\s+"(aws_\w+)"', re.MULTILINE)
CLASS = re.compile(r"^class (\w+) extends cdktn\.(\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FUNCTION = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
ATTRIBUTE = re.compile(r"^    // (\w+) - computed: (\w+), optional: (\w+), required: (\w+)$", re.MULTILINE)
ENTRY = re.compile(r'^ +(\w+): \{\n +value: .*\n +isBlock: (\w+),\n +type: "(\w+)",\n +storageClassType: "(\w+)",',
                   re.MULTILINE)
CHILD = re.compile(r'= new (\w+?)(List|OutputReference|Map)\(this, "\w+"(?:, (true|false))?\)')
GETTERS = [  # the first that is found in the text of an attribute tells its type
    ("new cdktn.StringMap(", ["map", "string"]),
    ("new cdktn.BooleanMap(", ["map", "bool"]),
    ("new cdktn.NumberMap(", ["map", "number"]),
    ("Fn.tolist(this.getNumberListAttribute(", ["set", "number"]),
    ("getNumberListAttribute(", ["list", "number"]),
    ("Fn.tolist(this.getListAttribute(", ["set", "string"]),
    ("getListAttribute(", ["list", "string"]),
    ("getStringMapAttribute(", ["map", "string"]),
    ("getNumberMapAttribute(", ["map", "number"]),
    ("getBooleanMapAttribute(", ["map", "bool"]),
    ("getStringAttribute(", "string"),
    ("getNumberAttribute(", "number"),
    ("getBooleanAttribute(", "bool"),
]
SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}


class SchemaError(Exception):
    """The bindings are not what this program knows how to read."""


def type_of_entry(kind: str, storage: str) -> object:
    """The type of an attribute that has no getter of its own, from the way in which it is written."""
    for name, simple in SIMPLE.items():
        if storage == name:
            return simple
        if storage == name + "List":
            return ["set" if kind == "set" else "list", simple]
        if storage == name + "Map":
            return ["map", simple]
    return "dynamic"  # lists of lists and the like: five attributes of the whole provider


class Bindings:
    """One file of the bindings: the classes and functions of one resource, data source or the provider."""

    def __init__(self, text: str):
        self.classes = {name: body for name, _, body in CLASS.findall(text)}
        self.entries = {name[0].upper() + name[1:]: self._entries(body) for name, body in FUNCTION.findall(text)}
        roots = [(name, body) for name, base, body in CLASS.findall(text)
                 if base in ("TerraformResource", "TerraformProvider")]
        if len(roots) != 1:
            raise SchemaError(f"{len(roots)} root classes where one was expected")
        self.root, body = roots[0]
        self.entries[self.root] = self._entries(body[body.find("synthesizeHclAttributes"):])

    @staticmethod
    def _entries(body: str) -> dict[str, tuple[bool, str, str]]:
        return {name: (block == "true", kind, storage) for name, block, kind, storage in ENTRY.findall(body)}

    def block(self, name: str | None = None) -> dict:
        """The attributes and blocks of a class; without a name, of the resource itself."""
        body = self.classes[self.root if name is None else name + "OutputReference"]
        entries = self.entries.get(name or self.root, {})
        marks = list(ATTRIBUTE.finditer(body))
        found: dict = {"attributes": {}, "blocks": {}}
        ends = [mark.start() for mark in marks[1:]] + [len(body)]
        for mark, end in zip(marks, ends, strict=False):
            text = body[mark.end():end]
            attribute = mark[1]
            flags = {flag: True for flag, value in zip(("computed", "optional", "required"), mark.groups()[1:],
                                                       strict=True) if value == "true"}
            self._add(found, attribute, flags, text, entries.get(attribute))
        return found

    def _written(self, storage: str) -> dict:
        return {"attributes": {name: {"optional": True, "type": type_of_entry(kind, storage)}
                               for name, (_, kind, storage) in self.entries[storage.removesuffix("List")].items()},
                "blocks": {}}

    def _add(self, found: dict, attribute: str, flags: dict, text: str, entry: tuple | None) -> None:
        child = CHILD.search(text)
        if child is None or child[1] in ("cdktn.String", "cdktn.Boolean", "cdktn.Number"):
            kind = next((kind for mark, kind in GETTERS if mark in text), None)
            if kind is None and entry and entry[0]:  # the provider's own blocks: written, never read
                found["blocks"][attribute] = {"nesting": entry[1], "block": self._written(entry[2])}
                return
            if kind is None and entry is None:
                raise SchemaError(f"{attribute}: neither a getter nor an entry tells its type")
            if attribute.endswith("_wo"):  # the provider's suffix for what is sent and never stored
                flags["write_only"] = True
            found["attributes"][attribute] = flags | {"type": kind or type_of_entry(entry[1], entry[2])}
            return
        single = child[2] == "OutputReference"
        nesting = {"List": "set" if child[3] == "true" else "list", "Map": "map"}.get(child[2], "single")
        if entry and entry[0] and nesting != "map":
            block = {"nesting": "list" if single and entry[1] == "list" else "set" if single and entry[1] == "set"
                     else nesting, "block": self.block(child[1])}
            if single and entry[1] != "struct":
                block["max"] = 1
            if "required" in flags:
                block["min"] = 1
            found["blocks"][attribute] = block
        else:
            found["attributes"][attribute] = flags | {"nesting": nesting, "nested": self.block(child[1])["attributes"]}


def types_named_in(folder: pathlib.Path) -> set[str]:
    return {name for file in folder.rglob("*.tf") for name in NAMED_TYPE.findall(file.read_text())}


def extract(package: pathlib.Path, types: set[str]) -> dict:
    wanted = {f"package/lib/{name.removeprefix('aws_').replace('_', '-')}/index.js": name for name in types}
    wanted["package/lib/provider/index.js"] = "provider"
    schema: dict = {"resources": {}}
    with tarfile.open(package, "r|gz") as archive:
        for member in archive:
            if member.name not in wanted:
                continue
            name = wanted[member.name]
            text = archive.extractfile(member).read().decode()
            try:
                block = Bindings(text).block()
            except SchemaError as error:
                raise SchemaError(f"{name}: {error}") from error
            if name == "provider":
                version = re.search(r"providers/hashicorp/aws/([0-9.]+)/docs", text)
                schema |= {"provider": block, "version": version[1] if version else ""}
            else:
                schema["resources"][name] = block
    if not schema.get("version"):
        raise SchemaError("the package does not tell which version of the provider it was made from")
    return schema


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=pathlib.Path, required=True)
    parser.add_argument("--configuration", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    types = types_named_in(arguments.configuration)
    if not types:
        print(f"extract: {arguments.configuration} names no resource: nothing to check", file=sys.stderr)
        return 1
    try:
        schema = extract(arguments.package, types)
    except SchemaError as error:
        print(f"extract: {error}", file=sys.stderr)
        return 1
    arguments.output.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
