"""The files that say what runs in an environment: deploy/environments/<name>.json.

    {"images": {"order-service": {"version": "1.4.0", "digest": "sha256:…"}, …}}
"""
from __future__ import annotations

import json
import pathlib
import re

ORDER = ("dev", "staging", "production")
LOCAL = "local"  # a cluster without a cloud: recorded and rolled back, never promoted
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
IMAGE = re.compile(r"[a-z][a-z0-9-]*")
Images = dict[str, dict[str, str]]


class DeployError(Exception):
    """What the reader has to repair."""


def file_of(top: pathlib.Path, name: str) -> pathlib.Path:
    if name not in (*ORDER, LOCAL):
        raise DeployError(f"no such environment: {name} (one of {', '.join(ORDER)}, {LOCAL})")
    return top / "deploy/environments" / f"{name}.json"


def parsed(text: str, where: str) -> Images:
    """Refuses everything but whole digests: a tag can be moved, so it names no image."""
    try:
        told = json.loads(text)
    except ValueError as error:
        raise DeployError(f"{where}: {error}") from error
    if not isinstance(told, dict) or set(told) != {"images"} or not isinstance(told["images"], dict):
        raise DeployError(f"{where}: not {{\"images\": {{…}}}}")
    for name, image in told["images"].items():
        if not IMAGE.fullmatch(name) or not isinstance(image, dict) or set(image) != {"version", "digest"}:
            raise DeployError(f"{where}: {name} has not version and digest alone")
        if not DIGEST.fullmatch(str(image["digest"])):
            raise DeployError(f"{where}: {name} is not named by a digest: {image['digest']}")
        if not VERSION.fullmatch(str(image["version"])):
            raise DeployError(f"{where}: {name} has no version: {image['version']}")
    return told["images"]


def read(top: pathlib.Path, name: str) -> Images:
    file = file_of(top, name)
    return parsed(file.read_text(), file.name)


def text_of(images: Images) -> str:
    """Sorted, so that a change of one image is one hunk."""
    return json.dumps({"images": images}, indent=2, sort_keys=True) + "\n"


def differences(old: Images, new: Images) -> list[tuple[str, dict | None, dict | None]]:
    """Name, before and after, of each image that is another one."""
    return [(name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]


def table(changes: list[tuple[str, dict | None, dict | None]]) -> str:
    """For the body of a pull request."""
    def cell(image: dict | None) -> str:
        return f"{image['version']} `{image['digest'][7:19]}`" if image else "none"

    lines = [f"| {name} | {cell(before)} | {cell(after)} |" for name, before, after in changes]
    return "\n".join(["| image | now | then |", "|---|---|---|", *lines])
