"""What the figures were measured on and with, without the name of the machine, of a user or of a folder."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

_PACKAGES = ("orjson", "jsonschema-rs", "click", "rich", "sacred", "mlflow", "mlflow-skinny", "dvclive")
_COMMANDS = ("jq", "git", "sha256sum")
_MOUNTS = Path("/proc/self/mountinfo")


def description(work: Path) -> dict[str, str]:
    """Facts by their names, in the order in which they are told; `work` is where the data lie."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file system of the data": file_system(work),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "exprec": _exprec(),
        **{name: found for name in _PACKAGES if (found := _installed(name))},
        **{name: found for name in _COMMANDS if (found := _said_by(name))},
    }


def file_system(path: Path) -> str:
    """The kind of file system that a folder lies on, such as `ext4`; `unknown` where the system does not tell."""
    if not _MOUNTS.exists():
        return "unknown"
    place = path.resolve()
    found = (0, "unknown")
    for line in _MOUNTS.read_text("utf-8", "replace").splitlines():
        before, _, after = line.partition(" - ")
        mount = Path(before.split()[4])
        if place.is_relative_to(mount):
            # The last of those that lie deepest is the one that is seen.
            found = max(found, (len(mount.parts), after.split()[0]), key=lambda each: each[0])
    return found[1]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _exprec() -> str:
    """The version, and whether it starts through a link to its sources, which slows down every Python there."""
    # In a checkout there may be two: what a build left behind is found first, and tells nothing.
    told = [each.read_text("direct_url.json") or "" for each in distributions(name="exprec")]
    return version("exprec") + (", editable" if any('"editable": true' in each for each in told) else "")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _said_by(command: str) -> str:
    """The first line of `--version`, or nothing where there is no such command."""
    if shutil.which(command) is None:
        return ""
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False, timeout=60)
    lines = done.stdout.splitlines()
    return lines[0].removeprefix(command).strip(" -").removeprefix("version ") if lines else ""
