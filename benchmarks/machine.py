"""Description of the machine and the software versions, without host, user or folder names."""

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


def describe_machine(work: Path) -> dict[str, str]:
    """Return facts by name, in display order; `work` is the folder of the data."""
    return {
        "processor": f"{_processor_name()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file system of the data": file_system(work),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "exprec": _exprec_version(),
        **{name: text for name in _PACKAGES if (text := _installed_version(name))},
        **{name: text for name in _COMMANDS if (text := _command_version(name))},
    }


def file_system(path: Path) -> str:
    """Return the type of the file system of a folder, such as `ext4`; `unknown` without /proc."""
    if not _MOUNTS.exists():
        return "unknown"
    resolved = path.resolve()
    deepest = (0, "unknown")
    for line in _MOUNTS.read_text("utf-8", "replace").splitlines():
        before, _, after = line.partition(" - ")
        mount = Path(before.split()[4])
        if resolved.is_relative_to(mount):
            # Of mounts on the same directory the last one is visible.
            candidate = (len(mount.parts), after.split()[0])
            deepest = candidate if candidate[0] >= deepest[0] else deepest
    return deepest[1]


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _exprec_version() -> str:
    """Return the version, and whether the installation is editable, which slows down every start of its Python."""
    # A checkout may also have metadata left by a build, without direct_url.json.
    origins = [found.read_text("direct_url.json") or "" for found in distributions(name="exprec-store")]
    return version("exprec-store") + (", editable" if any('"editable": true' in origin for origin in origins) else "")


def _installed_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _command_version(command: str) -> str:
    """Return the first line of `--version`, or an empty text if the command is not installed."""
    if shutil.which(command) is None:
        return ""
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False, timeout=60)
    lines = done.stdout.splitlines()
    return lines[0].removeprefix(command).strip(" -").removeprefix("version ") if lines else ""
