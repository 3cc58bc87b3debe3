"""The one error that a user is expected to read."""


class UserError(Exception):
    """Something a user can mend. The message is one line: what was expected, what was found, what to do.

    The command line and the jobs print it without a traceback and end with exit code 2.
    """
