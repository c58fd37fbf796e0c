"""A disk of limited size under PostgreSQL, so that a failure test can fill it."""
import os
import pathlib
import pwd
import subprocess

from .process import USER, own

_FILLER = "filler"
_PAGE_BYTES = 4096


class SmallDisk:
    """A tmpfs of its own. What kill -9 leaves there is what it leaves on a disk (both are the kernel's); a power
    cut is not what this shows. Needs uid 0. It ends with the mount namespace of who made it, at the latest."""

    def __init__(self, folder: pathlib.Path, megabytes: int) -> None:
        if os.getuid() != 0:
            raise OSError("a disk of limited size needs uid 0 (it is mounted)")
        self.folder = folder
        folder.mkdir(mode=0o700)
        owner = pwd.getpwnam(USER)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700,uid={owner.pw_uid},gid={owner.pw_gid}",
                        "stoa-disk", str(folder)], check=True)

    def free_bytes(self) -> int:
        usage = os.statvfs(self.folder)
        return usage.f_bavail * usage.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        """Takes what is free now into one file, `leave_bytes` and a few pages aside."""
        filler = self.folder / _FILLER
        with open(filler, "ab") as file:
            wanted = self.free_bytes() - leave_bytes
            while wanted >= _PAGE_BYTES:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, wanted)
                except OSError:
                    wanted //= 2  # somebody else wrote meanwhile, or a processor keeps pages to itself
                else:
                    wanted = min(wanted, self.free_bytes() - leave_bytes)
        own(filler)

    def clear(self) -> None:
        (self.folder / _FILLER).unlink(missing_ok=True)

    def remove(self) -> None:
        """Also while a dying process still holds a file: the mount goes from the tree at once."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False)
