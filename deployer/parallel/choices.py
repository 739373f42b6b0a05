"""What can be asked of a parallel run, for those who only name it: every ``--help`` does."""

__all__ = ["DEFAULT_FAN_OUT", "OUTPUTS"]

#: How many jobs run at once. Between 8 and 64 the time for many hosts is the same; more threads
#: than that only cost memory and switches.
DEFAULT_FAN_OUT = 64

#: The ways to show it, by name: where each is in ``views``, and what it shows.
OUTPUTS = {
    "live": ("live", "LiveView", "a block with those that take longest; equal output folded"),
    "stream": ("stream", "StreamView", "each line as it comes, behind its host"),
    "gather": ("gather", "GatherView", "equal output folded, at the end"),
    "diff": ("diff", "DiffView", "the most common output, and how others differ"),
    "quiet": ("quiet", "QuietView", "failures only"),
    "json": ("machine", "JsonView", "one JSON object, at the end"),
    "jsonl": ("machine", "JsonLinesView", "events, each a JSON object in a line"),
    "panes": ("panes", "PanesView", "a pane of tmux for each host, or one host at a time"),
}
