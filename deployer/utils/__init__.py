"""Pure functions that need nothing else of the package."""

from .network import IfConfig, NetworkInterface, parse_ifconfig_output
from .string_utils import esc1, esc2, indent

__all__ = ["IfConfig", "NetworkInterface", "esc1", "esc2", "indent", "parse_ifconfig_output"]
