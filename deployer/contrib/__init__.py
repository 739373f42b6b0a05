"""Ready-made parts: nodes, loggers and commands that many deployments need."""

__all__: list[str] = []
