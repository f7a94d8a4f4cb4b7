"""All public names, in one place, from which `pictory_async` loads them."""

from pictory_async._batch.batch import Batch
from pictory_async._batch.outcomes import BatchOutcome
from pictory_async._batch.progress import BatchProgress
from pictory_async._batch.summary import JournalSummary, read_journal
from pictory_async._core.catalogue import MODELS, STYLES, ModelInfo
from pictory_async._core.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    ConfigurationError,
    DownloadError,
    InvalidRequestError,
    InvalidResponseError,
    JobError,
    JobExpiredError,
    JobFailedError,
    JobNotFoundError,
    JobTimeoutError,
    JournalError,
    JournalMismatchError,
    NotFoundError,
    PaginationError,
    PermissionDeniedError,
    PictoryError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
    SessionClosedError,
    TransportError,
    WrongLoopError,
)
from pictory_async._core.models import (
    GeneratedImage,
    HistoryImage,
    HistoryPage,
    ImageRequest,
    JobState,
    JobStatus,
)
from pictory_async._core.unknown import SubmissionUnknownError
from pictory_async._http.stats import RequestStats, SessionStats
from pictory_async._jobs.handle import JobHandle
from pictory_async._media.history import ImageHistory
from pictory_async._policy.adaptive import Adaptive
from pictory_async._policy.pace import Limits
from pictory_async._policy.polling import Backoff, FixedInterval, PollPolicy
from pictory_async._policy.retry import RetryPolicy
from pictory_async._session import PictorySession
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
    "JournalSummary",
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
    "read_journal",
]

# Tracebacks, representations and pickles name the path that users import from, which
# lasts; the files behind it may move.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = "pictory_async"
