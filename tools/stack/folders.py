"""Where stacks keep their data, and what is left of those that were killed."""
import fcntl
import pathlib
import shutil
import tempfile
from typing import Any

FOLDER_PREFIX = "stoa-stack-"


def memory_folder() -> pathlib.Path:
    """A tmpfs: /tmp where it is one (it is in the Debian 13 root), else the shared memory."""
    temporary = pathlib.Path(tempfile.gettempdir())
    mounts = {line.split()[1]: line.split()[2] for line in pathlib.Path("/proc/mounts").read_text().splitlines()}
    return temporary if mounts.get(str(temporary)) == "tmpfs" else pathlib.Path("/dev/shm")


def disk_folder() -> pathlib.Path:
    return pathlib.Path("/var/tmp")


def sweep(base: pathlib.Path) -> None:
    """Removes what a stack left that was killed with -9: its lock is free, since the kernel opened it."""
    for folder in base.glob(f"{FOLDER_PREFIX}*"):
        try:
            with open(folder / "lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # it lives, or is another user's, or is being made


def take_lock(folder: pathlib.Path) -> Any:
    """The lock that tells a later stack that we live, across pid namespaces too; BlockingIOError when another has it."""
    lock = open(folder / "lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def fresh_folder(base: pathlib.Path) -> tuple[pathlib.Path, Any]:
    """A folder of our own and its lock."""
    sweep(base)
    # Locked under a name that no sweep looks at, and only then given its own.
    fresh = pathlib.Path(tempfile.mkdtemp(prefix=".stoa-new-", dir=base))
    lock = take_lock(fresh)
    fresh.chmod(0o711)
    return fresh.rename(base / (FOLDER_PREFIX + fresh.name.removeprefix(".stoa-new-"))), lock
