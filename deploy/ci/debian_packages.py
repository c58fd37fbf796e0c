"""Entries of Debian's package lists, as deploy/ci/sbom and deploy/ci/security-archive read them."""
from __future__ import annotations

import dataclasses
import lzma
import pathlib
import re


class PackagesError(Exception):
    """What the reader has to repair."""


@dataclasses.dataclass(frozen=True)
class Package:
    name: str
    version: str
    source: str  # the source package, which advisories are about
    architecture: str


def parsed(text: str, where: str) -> list[Package]:
    """Of stanzas with a blank line between them; continuation lines belong to no field that is read here."""
    found = []
    for stanza in re.split(r"\n\s*\n", text.strip()):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if re.match(r"[A-Z][\w-]*: ", line))
        if not {"Package", "Version"} <= fields.keys():
            raise PackagesError(f"{where}: an entry without Package and Version: {stanza[:80]!r}")
        source = fields.get("Source", fields["Package"]).split(" ", 1)[0]
        found.append(Package(fields["Package"], fields["Version"], source, fields.get("Architecture", "all")))
    return found


def of_image(folder: pathlib.Path) -> list[Package]:
    """Of /var/lib/dpkg/status.d: one file a package. None at all would be taken for clean, so it is refused."""
    files = sorted(file for file in folder.glob("*") if file.is_file())
    if not files:
        raise PackagesError(f"{folder}: no package; an image that lists nothing is not clean but unknown")
    return [package for file in files for package in parsed(file.read_text(), str(file))]


def of_index(file: pathlib.Path) -> list[Package]:
    """Of an archive's Packages, also .xz; apt keeps some lists compressed by lz4, which its own helper reads."""
    data = lzma.decompress(file.read_bytes()).decode() if file.suffix == ".xz" else file.read_text()
    if not data.strip():
        raise PackagesError(f"{file}: an index without entries")
    return parsed(data, str(file))
