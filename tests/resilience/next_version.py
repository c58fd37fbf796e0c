"""Builds the version after this one (tests/cluster/next) as programs: for two versions as processes.

Its sources are mounted over this checkout while they are compiled, in a mount namespace of the compiler's own: the
compiler's cache then knows every file that did not change, and seconds are enough.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
# Below the folder of what is built: a second call compiles nothing.
PLACE = CHECKOUT / "build" / "next"
BUILD = 'mount --bind "$1" "$2" && cd "$2" && shift 2 && exec tools/build debug "$@"'


def build(services: list[str], log: pathlib.Path) -> dict[str, pathlib.Path]:
    """The programs by service. Raises RuntimeError with the end of `log`. Inside tools/root, as root."""
    # All but its own `build`, which is what the next call finds done.
    for old in [entry for entry in PLACE.glob("*") if entry.name != "build"] if PLACE.exists() else []:
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    fresh = PLACE.with_name("next-sources")
    shutil.rmtree(fresh, ignore_errors=True)
    with log.open("w") as out:
        made = subprocess.run([CHECKOUT / "tests/cluster/next/tree", fresh], stdout=out, stderr=out, check=False)
        if made.returncode == 0:
            PLACE.mkdir(parents=True, exist_ok=True)
            # An image has no suites, but this preset's build names them.
            for suite in [found for part in ("servicekit", "services", "tools") for found in CHECKOUT.glob(f"{part}/*/tests")]:
                shutil.copytree(suite, fresh / suite.relative_to(CHECKOUT), ignore=shutil.ignore_patterns("__pycache__"))
            for entry in fresh.iterdir():
                entry.rename(PLACE / entry.name)
            made = subprocess.run(
                ["unshare", "--mount", "--propagation", "private", "bash", "-ec", BUILD, "build", PLACE, CHECKOUT, *services],
                stdout=out, stderr=out, check=False)
    shutil.rmtree(fresh, ignore_errors=True)
    if made.returncode != 0:
        raise RuntimeError(f"the next version was not built:\n{log.read_text()[-2000:]}")
    return {service: PLACE / "build/debug/bin" / service for service in services}
