"""The one error family of the command line: each message is a sentence that says what to do."""

from __future__ import annotations


class OpsError(Exception):
    """A command cannot go on; shown as is, exit code 1."""


class NotThere(OpsError):
    """The service knows nothing by that name."""


class Unreachable(OpsError):
    """A server did not answer; waiting commands try again until their patience ends."""


class NotRunning(Unreachable):
    """There is no stack behind this data directory."""
