"""The plugin's exceptions; each message is one line that names the file or argument, what is wrong and what to do."""


class BmpError(Exception):
    """Base class of the plugin's exceptions; the message is one line, fit for a command line."""


class DamagedIndexError(BmpError):
    """A block-max index directory whose files do not match its manifest."""


class SourceError(BmpError):
    """An input (Lucene directory, CIFF, JSON vectors, topics, run) that cannot be read in its format."""


class InputWarning(UserWarning):
    """An input that is read in another way than it says; one line that names it."""


class MissingDependencyError(BmpError):
    """An optional part that is not installed: a Python package, a JDK, a compiled Java class."""


class ShardLostError(BmpError):
    """A shard of a sharded index that cannot be opened, or whose process died and cannot be restarted."""


class BuildError(BmpError):
    """An index that cannot be written to its output path."""
