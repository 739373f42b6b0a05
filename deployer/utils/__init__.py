"""Pure functions that need nothing else of the package."""

from typing import TYPE_CHECKING, Any

from .string_utils import esc1, esc2, indent

if TYPE_CHECKING:
    from .network import IfConfig, NetworkInterface, parse_ifconfig_output
else:

    def __getattr__(name: str) -> Any:
        """Return what hardly any script uses: all of them import another module of this package."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import network

        return getattr(network, name)


__all__ = ["IfConfig", "NetworkInterface", "esc1", "esc2", "indent", "parse_ifconfig_output"]
