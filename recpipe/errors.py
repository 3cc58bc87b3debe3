"""The errors that a user is expected to read."""


class UserError(Exception):
    """Something a user can mend. The message is one line: what was expected, what was found, what to do.

    The command line and the jobs print it without a traceback and end with exit code 2.
    """


class Interrupted(UserError):  # noqa: N818 - the training is no error: what it ran in ended
    """What was done so far is of use to the next attempt, which may end well."""


class Superseded(Exception):  # noqa: N818 - what happened is no error: the newer attempt does the work
    """A newer attempt of the job for this day began, so that this one may write nothing more. Exit code 3."""
