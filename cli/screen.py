"""What goes to a terminal, made harmless: messages, JSON, and the recorded output of commands."""

from __future__ import annotations

import codecs
import re
import sys

import click

from exprec.recorder.diagnostics import visible, visible_json

_LONGEST_LINE = 2**20
"""Characters of a line after which the beginning of it is printed."""
_RESET = "\x1b[0m"
_STYLE = r"\x1b\[(?:(?:0?[0-4]|2[2-4]|3[1-69]|9[1-6])(?:;(?:0?[0-4]|2[2-4]|3[1-69]|9[1-6]))*)?m"
"""Bold, dim, italic, underlined, and six colors. No black, white, background, inversion or hiding: on some terminal
each of them makes text invisible."""
_RESETS = frozenset(("\x1b[m", "\x1b[0m", "\x1b[00m"))
_PICTURE = (
    "[\xa9\xae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u25fe\u2600-\u27bf\u2934\u2935"
    "\u2b05-\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]\ufe0f?[\U0001f3fb-\U0001f3ff]?"
)
_EMOJI = f"{_PICTURE}(?:\u200d{_PICTURE})*|[0-9#*]\ufe0f\u20e3"
"""Emoji, in which a variation selector and the zero-width joiner have a visible effect."""
_SPECIAL = "\x1b\r\ufe0f\u200d"
"""What begins a match of the patterns below, or makes one necessary."""
_ROW_ENDS = {"\r\n": "", "\r": "\\r"}
"""What is seen of each end of a row other than a newline."""
_UNSTYLED = f"(\r\n?)|({_EMOJI})|(?!)()"
_STYLED = f"(\r\n?)|({_EMOJI})|({_STYLE})"


def print_message(message: str, *, has_lines: bool = False) -> None:
    """Print a message of one line, or of several with `has_lines`, to stderr.

    What it quotes from a user, a run or a file cannot control the terminal.
    """
    click.echo(visible(message, keep="\n" if has_lines else "", quoted=True), err=True)


def print_progress(number: int, total: int) -> None:
    """Print to stderr how many of the runs are done, over what was printed before; for terminals."""
    click.echo(f"\r{number} of {total} runs", nl=number == total, err=True)


def screen_json(line: bytes) -> bytes:
    """Return a line of JSON in the form for a terminal: equal JSON of visible characters."""
    # What JSON does not escape, such as U+009B, may still control a terminal.
    return visible_json(line.removesuffix(b"\n").decode()).encode() + b"\n"


def print_json(line: bytes) -> None:
    """Print a line of canonical JSON to stdout, and flush: unchanged, or on a terminal in the form for one."""
    sys.stdout.flush()
    sys.stdout.buffer.write(screen_json(line) if sys.stdout.isatty() else line)
    sys.stdout.buffer.flush()


class ScreenOutput:
    """The output of a command as text that can neither control a terminal nor hide anything.

    Lines, tabs, emoji and simple styles stay, and each line ends with the styles that it began without. Everything
    else is visible: a carriage return ends a row as `\\r`, a byte that is not UTF-8 is `\\xff`.
    """

    def __init__(self, *, color: bool) -> None:
        """Without `color`, styles are visible escapes too."""
        self._pattern = re.compile(_STYLED if color else _UNSTYLED)
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._rest = ""
        self._is_styled = False

    def feed(self, data: bytes) -> bytes:
        """Return what can be printed after these further bytes: whole lines, and the beginnings of very long ones."""
        text = self._rest + self._decoder.decode(data)
        end = text.rfind("\n") + 1
        end += (len(text) - end) // _LONGEST_LINE * _LONGEST_LINE
        self._rest = text[end:]
        return self._shown(text[:end]).encode()

    def close(self) -> bytes:
        """Return the end of the output."""
        shown = self._shown(self._rest + self._decoder.decode(b"", final=True))
        self._rest = ""
        return f"{shown}{self._reset()}".encode()

    def _shown(self, text: str) -> str:
        if not any(char in text for char in _SPECIAL):
            return self._plain(text)
        pieces: list[str] = []
        position = 0
        for match in self._pattern.finditer(text):
            pieces.append(self._plain(text[position : match.start()]))
            position = match.end()
            ends_row, emoji, style = match.groups()
            if style:
                self._is_styled = style not in _RESETS
                pieces.append(style)
            elif emoji:
                pieces.append(visible(emoji, keep="\ufe0f\u200d", quoted=True))
            else:
                pieces.append(f"{_ROW_ENDS[ends_row]}{self._reset()}\n")
        pieces.append(self._plain(text[position:]))
        return "".join(pieces)

    def _plain(self, text: str) -> str:
        shown = visible(text, keep="\n\t", quoted=True)
        return shown.replace("\n", f"{self._reset()}\n", 1) if "\n" in shown and self._is_styled else shown

    def _reset(self) -> str:
        if not self._is_styled:
            return ""
        self._is_styled = False
        return _RESET
