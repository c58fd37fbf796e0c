"""The files of a checkout, and what a rule says about them."""

import dataclasses
import functools
import os
import pathlib
import subprocess

SKIPPED_FOLDERS = {".git", "build", ".stoa", "__pycache__", ".pytest_cache", "node_modules", ".hypothesis"}


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    file: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.message}"


class Tree:
    """Tracked and new files of a folder; files by their path relative to it, with '/'."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        self.files = sorted(self._listed())

    def _listed(self):
        if (self.root / ".git").exists():
            command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
            listing = subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout
            return {name for name in listing.split("\0") if name and (self.root / name).is_file()}
        found = set()
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
            found |= {(pathlib.Path(folder) / name).relative_to(self.root).as_posix() for name in names}
        return found

    @functools.cache
    def text(self, file: str) -> str:
        return (self.root / file).read_text(errors="replace")

    def lines(self, file: str) -> list[str]:
        return self.text(file).splitlines()

    def exists(self, file: str) -> bool:
        return (self.root / file).exists()

    def having(self, *suffixes: str) -> list[str]:
        return [file for file in self.files if file.endswith(suffixes)]

    def cpp(self) -> list[str]:
        return self.having(".cpp", ".hpp")

    @functools.cache
    def code(self, file: str) -> str:
        """C++ without comments and literals, everything else in its place."""
        from tidy import cpp

        return cpp.blanked(self.text(file))

    @functools.cache
    def code_with_literals(self, file: str) -> str:
        from tidy import cpp

        return cpp.blanked(self.text(file), keep_literals=True)


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def is_test(file: str) -> bool:
    return "/tests/" in f"/{file}" or file.startswith("servicekit/testing/")


def service_of(file: str) -> str | None:
    parts = file.split("/")
    return parts[1] if parts[0] == "services" and len(parts) > 2 else None
