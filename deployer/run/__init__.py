"""Front ends: what makes a tree of nodes run, in a terminal or as one command."""

__all__: list[str] = []
