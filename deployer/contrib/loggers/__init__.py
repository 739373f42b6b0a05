"""Loggers beyond the built-in ones, and a recorder of what was shown."""

from .asciicast import AsciicastRecorder
from .json_lines import JsonLinesLogger
from .on_host import OnHostLogger

__all__ = ["AsciicastRecorder", "JsonLinesLogger", "OnHostLogger"]
