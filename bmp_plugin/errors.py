"""Everything that the plugin refuses, in one line that names the thing, what is wrong and what to do."""


class BmpError(Exception):
    """Base of the plugin's own errors; its text is one line, fit for a command line."""


class DamagedIndexError(BmpError):
    """A block-max index directory whose files do not agree with its manifest."""


class SourceError(BmpError):
    """An input (Lucene directory, CIFF, JSON vectors, topics, run) that cannot be read as what it claims to be."""


class MissingDependencyError(BmpError):
    """A part that is optional and not installed here: a Python package, a JDK, a compiled Java class."""


class ShardLostError(BmpError):
    """A shard of a sharded index that cannot be opened, or whose process died and cannot be started again."""


class BuildError(BmpError):
    """An index could not be written where it should stand."""
