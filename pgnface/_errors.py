"""Errors that are the user's to mend: the command line prints them as one line."""


class UserError(ValueError):
    """Bad input or surroundings; the message says what was expected, what came and what to do."""


class NothingFoundError(UserError):
    """Everything was readable, but no face was in it."""
