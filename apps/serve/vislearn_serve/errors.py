"""What a client is told when it does not get what it asked for."""


class Refused(Exception):
    """A request that is not answered.

    Attributes:
        status: HTTP status.
        reason: For the client: what was wrong, with which value.
        retry_after: Seconds after which it may try again; None where that would not help.
    """

    def __init__(self, status: int, reason: str, retry_after: int | None = None):
        super().__init__(reason)
        self.status, self.reason, self.retry_after = status, reason, retry_after
