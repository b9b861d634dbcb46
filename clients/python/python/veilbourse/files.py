"""Files that survive a crash, and secrets that only their owner reads."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from .errors import KeyringError

__all__ = ["make_folder", "put", "put_new", "read_secret", "sync_folder"]

#: Only the owner reads and writes.
SECRET_MODE = 0o600
#: A public file, before the umask.
PUBLIC_MODE = 0o666


def sync_folder(folder: Path) -> None:
    """Names in a folder are durable only when the folder is synced."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Makes a folder, for its owner alone, and what is above it."""
    if folder.is_dir():
        return
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            each.mkdir(mode=0o700)
        sync_folder(each.parent)


def _write(path: Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _beside(path: Path) -> Path:
    """A name that no other writer uses; what a crash left there is removed."""
    made = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    with contextlib.suppress(FileNotFoundError):
        made.unlink()
    return made


def put(path: Path, data: bytes, *, secret: bool) -> None:
    """Puts a file in place of an older one: after a crash there is the one or the
    other, whole."""
    beside = _beside(path)
    try:
        _write(beside, data, SECRET_MODE if secret else PUBLIC_MODE)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)


def put_new(path: Path, data: bytes) -> None:
    """Puts a secret where nothing is yet: whole, and never over another."""
    beside = _beside(path)
    try:
        _write(beside, data, SECRET_MODE)
        os.link(beside, path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
    sync_folder(path.parent)


def read_secret(path: Path) -> str:
    """Reads a secret that only its owner may read."""
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise KeyringError(
                "KEY_FILE_OPEN",
                f"{path}: others can read it; chmod 600 it, and replace the key if they did",
                {"field": "mode", "limit": "600", "value": f"{path.stat().st_mode & 0o777:o}"},
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise KeyringError("KEY_FILE", f"{path}: is no text", {"field": "path"}) from None
