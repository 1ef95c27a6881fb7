"""What the extras of exprec install, and the command to type for it.

Messages advise the requirements themselves, never exprec with an extra: that would need to be known from where exprec
was installed, and on the package index the name `exprec` belongs to another project.
"""

from __future__ import annotations

import shlex

EXTRAS = {
    "llm": ("pydantic-ai-slim[openai,anthropic]>=2.62",),
}
"""The requirements of each extra that commands need, as in pyproject.toml."""


def install_extra(extra: str) -> str:
    """Return the command that installs what an extra needs, wherever exprec was installed from."""
    return install_command(*EXTRAS[extra])


def install_command(*requirements: str) -> str:
    """Return the command that installs these requirements."""
    return shlex.join(["pip", "install", *requirements])
