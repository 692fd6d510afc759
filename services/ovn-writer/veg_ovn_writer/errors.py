"""The ways in which a command does not come about. Everything else is a bug, and ends the process."""


class CannotApplyError(Exception):
    """Trying the same again is of no use. The message names the object, the field and the reason."""


class NotNowError(Exception):
    """The connection or the lock is not there, or somebody else was faster: the same may succeed a moment later."""


class UnknownMembersError(Exception):
    """A change of a membership that is not known: the whole is needed."""
