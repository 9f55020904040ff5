"""The log of a service: a line a request, without texts and keys."""

import json
import logging
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rankprompt.api.results import Usage
from rankprompt.service.record import RequestRecord

__all__ = ["JsonFormatter", "hide_answers", "log_failure", "log_request", "log_usage",
           "set_up_service_log"]  # fmt: skip

log = logging.getLogger("rankprompt.service")

# What asks these every few seconds would fill the log.
_PROBES = frozenset({"/health", "/ready", "/metrics"})

# In the guard's warnings: an answer of the model as an example, which may repeat a passage.
_EXAMPLE = re.compile(r", as in ['\"].*['\"](?= \()")


class JsonFormatter(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; of a request, its fields."""
        fields = getattr(record, "fields", None) or {
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"time": time, **fields}, ensure_ascii=False)


def set_up_service_log(*, as_json: bool) -> None:
    """Makes the log of the command line that of a service, and uvicorn's a part of it."""
    handlers = logging.getLogger("rankprompt").handlers
    for handler in handlers:
        handler.addFilter(hide_answers)
        if as_json:
            handler.setFormatter(JsonFormatter())
    uvicorn = logging.getLogger("uvicorn")
    uvicorn.handlers, uvicorn.propagate = list(handlers), False
    uvicorn.setLevel(logging.WARNING)


def log_request(record: RequestRecord) -> None:
    """Writes the line of a request that was answered."""
    _log_fields(
        {
            "id": record.id,
            "endpoint": record.endpoint,
            "status": record.status,
            "documents": record.documents,
            **_counts(record.usage),
            "ms": round(1000 * record.seconds, 1),
        },
        logging.DEBUG if record.status == 200 and record.endpoint in _PROBES else logging.INFO,
    )


def log_usage(record: RequestRecord, usage: Usage) -> None:
    """Writes what a request has cost whose line was written before that was known."""
    _log_fields({"id": record.id, "after": record.status, **_counts(usage)})


def _counts(usage: Usage) -> dict[str, int]:
    return {"questions": usage.questions, "prompts": usage.prompts, "tokens": usage.tokens}


def _log_fields(fields: Mapping[str, object], level: int = logging.INFO) -> None:
    text = " ".join(f"{name}={value}" for name, value in fields.items())
    log.log(level, "%s", text, extra={"fields": fields})


def log_failure(record: RequestRecord, error: Exception) -> None:
    """Writes where an unexpected error was raised; its message may hold texts."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    log.error("request %s failed: %s at %s", record.id, type(error).__name__, where)


def hide_answers(record: logging.LogRecord) -> bool:
    """A filter that takes answers and tracebacks out of records, and lets all of them pass."""
    record.exc_info = None  # the message of an error may hold a text
    message = record.getMessage()
    if _EXAMPLE.search(message):
        record.msg, record.args = _EXAMPLE.sub("", message), ()
    return True
