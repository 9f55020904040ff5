"""A server with OpenAI's batch API, as its documentation describes it, that fails when it is told.

There is no real one here. The protocol: https://platform.openai.com/docs/api-reference/batch.
"""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rankprompt.rankers.seeded_random import uniform

__all__ = ["BatchServer"]

Body = dict[str, Any]


class BatchServer:
    """Keeps files and batches; answers a batch's requests once it has waited.

    Args:
        respond: gives the reply to a path and a body; what it raises is a refusal.
        seconds: that a batch takes; a function of the number of the batch, from 0.
        end: the status in which a batch ends, and the share of its requests without an answer, by
            the number of the batch.
        queue: the most requests that may wait in all; more fail with ``token_limit_exceeded``.
        lost_replies: the paths whose first replies are lost: the connection breaks instead.
        lists: whether it lists its batches.

    Attributes:
        asked: the requests that were answered in batches, by custom id; each is paid for.
        at_once: the requests that were answered at once.
        batches: as the server describes them, by id.
        texts: all that the client has sent.
    """

    def __init__(
        self,
        respond: Callable[[str, Body], Body],
        *,
        seconds: Callable[[int], float] = lambda _: 0.0,
        end: Callable[[int], tuple[str, float]] = lambda _: ("completed", 0.0),
        queue: int = 10**9,
        lost_replies: tuple[str, ...] = (),
        lists: bool = True,
    ) -> None:
        self._respond, self._seconds, self._end = respond, seconds, end
        self._queue, self._lost, self._lists = queue, set(lost_replies), lists
        self.asked: Counter[str] = Counter()
        self.at_once = 0
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Body] = {}
        self.calls: Counter[str] = Counter()
        self.authorizations: set[str | None] = set()
        self._lock = threading.RLock()

    @contextmanager
    def serve(self) -> Iterator["BatchServer"]:
        """Serves on the loopback until the context ends."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                outer._handle(self, "GET", b"")

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                outer._handle(self, "POST", self.rfile.read(length))

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)

    def end_all(self) -> None:
        """Lets the batches that run come to their end."""
        with self._lock:
            for batch in self.batches.values():
                batch["at"] = 0.0

    def _handle(self, handler: BaseHTTPRequestHandler, method: str, body: bytes) -> None:
        path = handler.path.removeprefix("/v1")
        call = f"{method} {re.sub('(batch|file)-[0-9]+', 'ID', path)}"
        with self._lock:
            self.calls[call] += 1
            self.authorizations.add(handler.headers.get("authorization"))
            kind = handler.headers.get("content-type", "")
            status, content = self._reply(method, path, body, kind)
            if call in self._lost:
                self._lost.discard(call)
                handler.close_connection = True
                return
        handler.send_response(status)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _reply(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        if path in ("/chat/completions", "/completions"):
            self.at_once += 1
            return self._answer(path, json.loads(body))
        if (method, path) == ("POST", "/files"):
            return _json(self._upload(body, kind))
        if (method, path) == ("POST", "/batches"):
            return self._create(json.loads(body))
        if (method, path) == ("GET", "/batches") and self._lists:
            newest = [self._describe(one) for one in reversed(self.batches)]
            return _json({"object": "list", "data": newest[:20]})
        if (found := re.fullmatch("/batches/(batch-[0-9]+)", path)) and found[1] in self.batches:
            return _json(self._describe(found[1]))
        if (found := re.fullmatch("/files/(file-[0-9]+)/content", path)) and found[1] in self.files:
            return 200, self.files[found[1]]
        return _json({"error": {"message": "not found"}}, 404)

    def _answer(self, path: str, body: Body) -> tuple[int, bytes]:
        try:
            return _json(self._respond(path, body))
        except ValueError as error:
            return _json({"error": {"message": str(error), "type": "invalid_request_error"}}, 400)

    def _upload(self, body: bytes, kind: str) -> Body:
        boundary = kind.partition("boundary=")[2].encode()
        fields = {}
        for part in body.split(b"--" + boundary)[1:-1]:
            head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            named = re.search(rb'name="(\w+)"', head)
            assert named, head
            fields[named[1].decode()] = content.removesuffix(b"\r\n")
        assert fields["purpose"] == b"batch"
        return {"id": self._keep(fields["file"]), "object": "file", "purpose": "batch"}

    def _keep(self, content: bytes) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return name

    def _create(self, body: Body) -> tuple[int, bytes]:
        assert body["completion_window"] == "24h"
        if body["input_file_id"] not in self.files:
            return _json({"error": {"message": "no such file"}}, 400)
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        assert all(one["url"] == body["endpoint"] and one["method"] == "POST" for one in lines)
        assert len({one["custom_id"] for one in lines}) == len(lines) <= 50_000
        number = len(self.batches)
        name = f"batch-{number}"
        waiting = sum(
            one["request_counts"]["total"]
            for one in map(self._describe, self.batches)
            if one["status"] == "in_progress"
        )
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": body["endpoint"],
            "input_file_id": body["input_file_id"],
            "completion_window": "24h",
            "status": "in_progress",
            "output_file_id": None,
            "error_file_id": None,
            "errors": None,
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
            "at": time.monotonic() + self._seconds(number),
            "number": number,
        }
        if waiting + len(lines) > self._queue:
            told = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}
            self.batches[name] |= {"status": "failed", "errors": {"data": [told]}}
        return _json(self._describe(name))

    def _describe(self, name: str) -> Body:
        batch = self.batches[name]
        if batch["status"] == "in_progress" and time.monotonic() >= batch["at"]:
            self._finish(batch)
        return {key: value for key, value in batch.items() if key not in ("at", "number")}

    def _finish(self, batch: Body) -> None:
        status, without = self._end(batch["number"])
        batch["status"] = status
        if status == "failed":
            reason = {"code": "invalid_json_line", "message": "not JSON", "line": 2}
            batch["errors"] = {"data": [reason]}
            return
        output: list[Body] = []
        errors: list[Body] = []
        for line in map(json.loads, self.files[batch["input_file_id"]].splitlines()):
            name = line["custom_id"]
            result: Body = {"id": f"r-{name}", "custom_id": name, "response": None, "error": None}
            if uniform(batch["number"], name) < without:
                codes = {"expired": "batch_expired", "cancelled": "batch_cancelled"}
                told = codes.get(status, "request_timeout")
                errors.append(result | {"error": {"code": told, "message": "not executed"}})
                continue
            self.asked[name] += 1
            code, content = self._answer(line["url"].removeprefix("/v1"), line["body"])
            result["response"] = {"status_code": code, "body": json.loads(content)}
            (output if code == 200 else errors).append(result)
        for kind, lines in (("output", output), ("error", errors)):
            if lines:
                text = "".join(json.dumps(one) + "\n" for one in reversed(lines))
                batch[f"{kind}_file_id"] = self._keep(text.encode())
        batch["request_counts"] |= {"completed": len(output), "failed": len(errors)}


def _json(content: Body, status: int = 200) -> tuple[int, bytes]:
    return status, json.dumps(content).encode()
