"""What can go wrong in the lab, as types."""


class LabError(Exception):
    """A failure that is told to the user as one message, without a traceback."""


class DaemonFailedError(LabError):
    """A daemon ended or did not become ready; the message carries the end of its log."""
