"""The error of credentials that were not given."""


class NotGivenError(Exception):
    """A source has given no credentials.

    Args:
        said: Why, as one sentence that says what to do, and no secret.
        passes: Whether asking again may help, as with a server that does not answer.
    """

    def __init__(self, said: str, *, passes: bool) -> None:
        super().__init__(said)
        self.said = said
        self.passes = passes
