"""All public names, in one place; `pictory_async` has them from here."""

from pictory_async._adaptive import Adaptive
from pictory_async._batch import Batch
from pictory_async._batch_errors import (
    BudgetExceededError,
    JournalError,
    JournalMismatchError,
)
from pictory_async._catalogue import MODELS, STYLES, ModelInfo
from pictory_async._errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DownloadError,
    InvalidRequestError,
    InvalidResponseError,
    JobError,
    JobExpiredError,
    JobFailedError,
    JobNotFoundError,
    JobTimeoutError,
    NotFoundError,
    PaginationError,
    PermissionDeniedError,
    PictoryError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
    SessionClosedError,
    SubmissionUnknownError,
    TransportError,
    WrongLoopError,
)
from pictory_async._handle import JobHandle
from pictory_async._history import ImageHistory
from pictory_async._models import (
    GeneratedImage,
    HistoryImage,
    HistoryPage,
    ImageRequest,
    JobState,
    JobStatus,
)
from pictory_async._outcomes import BatchOutcome, BatchProgress
from pictory_async._pace import Limits
from pictory_async._polling import Backoff, FixedInterval, PollPolicy
from pictory_async._retry import RetryPolicy
from pictory_async._session import PictorySession
from pictory_async._stats import RequestStats, SessionStats
from pictory_async._version import __version__

__all__ = [
    "MODELS",
    "STYLES",
    "APIError",
    "Adaptive",
    "AuthenticationError",
    "Backoff",
    "BadRequestError",
    "Batch",
    "BatchOutcome",
    "BatchProgress",
    "BudgetExceededError",
    "ConfigurationError",
    "DownloadError",
    "FixedInterval",
    "GeneratedImage",
    "HistoryImage",
    "HistoryPage",
    "ImageHistory",
    "ImageRequest",
    "InvalidRequestError",
    "InvalidResponseError",
    "JobError",
    "JobExpiredError",
    "JobFailedError",
    "JobHandle",
    "JobNotFoundError",
    "JobState",
    "JobStatus",
    "JobTimeoutError",
    "JournalError",
    "JournalMismatchError",
    "Limits",
    "ModelInfo",
    "NotFoundError",
    "PaginationError",
    "PermissionDeniedError",
    "PictoryError",
    "PictorySession",
    "PollPolicy",
    "RateLimitedError",
    "RequestStats",
    "RequestTimeoutError",
    "RetryPolicy",
    "ServerError",
    "SessionClosedError",
    "SessionStats",
    "SubmissionUnknownError",
    "TransportError",
    "WrongLoopError",
    "__version__",
]
