"""Files that other programs read: replaced at one stroke, and their readers told.

The one module here with deeds: publishers and ``pikaserver crl follow`` both need them, and
neither may get them wrong.
"""

import fcntl
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pikaserver.api.errors import NotFound, Unavailable

PUBLIC_MODE = 0o644
_PERMISSIONS = 0o7777
_PID_OCTETS = 32
_YOUNGER_SECONDS = 5.0
"""By so much a process may seem to be younger than its pid file; clocks are coarse."""
_START_TICKS = 19
"""Where the time of a process's start stands behind the closing bracket in ``/proc/<pid>/stat``."""


def replace_file(
    path: Path,
    pieces: Iterable[bytes],
    mode: int | None = None,
    *,
    before: Callable[[Path], None] | None = None,
) -> None:
    """Write a file beside another one, durably, and put it in its place.

    Whoever reads it sees the old file or the new one, never a part; after a crash there is a
    hidden file beside it, which the next call overwrites.  Of two processes one writes at a
    time.  A symbolic link stays one.  Permissions are ``mode``, else those of the old file,
    else rw-r--r--; the owner stays who it was, where we may see to that.

    Args:
        path: the file.
        pieces: the new octets.
        mode: the permissions.
        before: called with the new file once all is written; may raise to stop it.

    Raises:
        Unavailable: another process writes this file now.
        OSError: it cannot be written; the old file is untouched.
    """
    path = Path(os.path.realpath(path))
    temporary = path.parent / f".{path.name}.new"
    with _claimed(temporary) as descriptor:
        try:
            os.ftruncate(descriptor, 0)
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.writelines(pieces)
            _adopt(descriptor, path, mode)
            os.fsync(descriptor)
            if before is not None:
                before(temporary)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)


def send_signal(pid_file: Path, number: signal.Signals) -> int:
    """Send a signal to the process that a pid file names, and return its number.

    A pid file that its process left behind may name somebody else's by now, whom most signals
    would end; so the process must not be younger than the file.

    Raises:
        NotFound: there is no such file, or no such process any more.
        OSError: we may not send it.
    """
    try:
        with pid_file.open("rb") as file:
            text, written = file.read(_PID_OCTETS), os.fstat(file.fileno()).st_mtime
        pid = int(text)
    except (FileNotFoundError, ValueError):
        raise NotFound(f"{pid_file} names no process") from None
    if pid <= 0:
        raise NotFound(f"{pid_file} names no process")
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        raise NotFound(f"process {pid} of {pid_file} is gone") from None
    try:
        started = _start_of(pid)
        if started is not None and started > written + _YOUNGER_SECONDS:
            raise NotFound(f"process {pid} is younger than {pid_file}, so it is another one")
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        raise NotFound(f"process {pid} of {pid_file} is gone") from None
    finally:
        os.close(handle)
    return pid


def touch(path: Path) -> None:
    """Make a file's time the present, for whoever watches it; it is made where it is missing.

    Raises:
        OSError: that is not allowed.
    """
    path.touch(mode=PUBLIC_MODE)


@contextmanager
def _claimed(temporary: Path) -> Iterator[int]:
    """Give a file that nobody else writes until the end of the block."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, 0o600)
    try:
        # Between our opening and our lock another one may have put it in its place.
        if not (_is_locked(descriptor) and _is_at(descriptor, temporary)):
            raise Unavailable(f"another process writes {temporary}")
        yield descriptor
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    return False


def _adopt(descriptor: int, path: Path, mode: int | None) -> None:
    """Give a new file the permissions and the owner of the one whose place it takes."""
    try:
        old = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, PUBLIC_MODE if mode is None else mode)
        return
    with suppress(PermissionError):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & _PERMISSIONS if mode is None else mode)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _start_of(pid: int) -> float | None:
    """Return when a process started, in seconds since 1970; ``None`` where nobody tells."""
    try:
        # The name in brackets may hold anything, brackets and blanks too.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        stat = Path("/proc/stat").read_text(encoding="utf-8")
        boot = next(line for line in stat.splitlines() if line.startswith("btime "))
        return int(boot.split()[1]) + int(fields[_START_TICKS]) / os.sysconf("SC_CLK_TCK")
    except (OSError, StopIteration, IndexError, ValueError):
        return None
