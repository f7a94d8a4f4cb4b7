"""The errors that only a batch can end in."""

from __future__ import annotations

from decimal import Decimal

from pictory_async._errors import PictoryError


class BudgetExceededError(PictoryError):
    """A request did not fit under the ceiling of its batch. Nothing was sent.

    Attributes:
        limit: The ceiling, in AI credits.
        reserved: What counted against it in that moment: credits used, and those
            reserved for jobs that may still be charged.
        price: What the request would have reserved.
    """

    def __init__(
        self,
        message: str = "",
        *,
        limit: Decimal = Decimal(0),
        reserved: Decimal = Decimal(0),
        price: Decimal = Decimal(0),
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.reserved = reserved
        self.price = price

    def __str__(self) -> str:
        return self.args[0] or (
            f"{self.price} credits do not fit under max_credits={self.limit}, of which "
            f"{self.reserved} are used or reserved; nothing was sent"
        )


class JournalError(PictoryError):
    """The journal of a batch cannot be used.

    Raised before anything is sent, or, if the file fails later, when no more is sent.

    Attributes:
        path: The journal's file.
        reason: What is wrong with it.
    """

    def __init__(self, message: str = "", *, path: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return self.args[0] or f"journal {self.path}: {self.reason}"


class JournalMismatchError(JournalError):
    """The journal was made for other prompts. Nothing was sent for this one.

    Attributes:
        index: The first prompt that is not the recorded one.
    """

    def __init__(
        self,
        message: str = "",
        *,
        path: str = "",
        reason: str = "",
        index: int = 0,
    ) -> None:
        super().__init__(message, path=path, reason=reason)
        self.index = index

    def __str__(self) -> str:
        return self.args[0] or (
            f"journal {self.path} was made for other prompts: number {self.index} "
            f"(from 0) {self.reason or 'is not the recorded one'}"
        )
