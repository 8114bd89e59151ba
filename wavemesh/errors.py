"""The one exception for bad input: its message is a plain sentence that a person can act on."""


class InputError(ValueError):
    """Input that cannot be used; the message is one sentence that shows the offending value.

    The command line prints it and exits with status 2, the page shows it as a notice.
    """
