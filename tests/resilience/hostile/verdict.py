"""What is wrong with an answer: a shape has its statuses, every refusal is a documented problem, none tells of the inside."""

from __future__ import annotations

import json
import re

from tests.resilience.hostile.endpoints import Endpoint, general_codes, problem_codes
from tests.resilience.hostile.shapes import CLOSED, Shape
from tests.resilience.hostile.wire import Answer, Reply

INSIDE = re.compile(
    rb"/src/|\.[ch]pp\b|std::|libpq|SQLSTATE|SELECT |INSERT |UPDATE |\bpg_|relation \"|syntax error at|terminate called|0x[0-9a-f]{8}"
    rb"|Sanitizer|Traceback|127\.0\.0\.1|localhost|amqp|PostgreSQL|RabbitMQ|Redis|postgres|boost|/tmp/|BEGIN (RSA )?PRIVATE|argon2",
    re.IGNORECASE,
)
OF_A_LINE = {"variant_not_found": 422}  # where a body names it, and not the path
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
MEMBERS = {"type", "title", "status", "detail", "code", "retryable"}
OF_A_REQUEST = {"instance", "trace_id"}  # what was never read as one has neither
UNREAD = {"malformed_request", "headers_too_large", "target_too_long", "body_too_large", "request_timeout"}
TAKEN = range(200, 400)


class Judge:
    def __init__(self) -> None:
        self.codes, self.general = problem_codes(), general_codes()

    def faults(self, endpoint: Endpoint, shape: Shape, reply: Reply) -> list[str]:
        """In words; nothing when all is well."""
        if reply.hung:
            return [f"no end within {reply.seconds:.0f} s"]
        if not reply.answers:
            return [] if CLOSED in shape.allowed else ["closed without an answer"]
        answer, found = reply.answers[0], []
        if len(reply.answers) > 1:
            found.append(f"{len(reply.answers)} answers: what follows the request was served too")
        if answer.status not in shape.allowed and not (shape.takes and self.promised(endpoint, answer)):
            found.append(f"answered {answer.status} {self.code_of(answer)}, expected {' or '.join(map(str, sorted(shape.allowed)[:4]))}")
        if answer.status >= 400:
            found += self.of_problem(endpoint, shape, answer)
        if leak := INSIDE.search(told_by_us(answer, shape)):
            found.append(f"tells of the inside: {leak[0].decode()}")
        if not REQUEST_ID.fullmatch(answer.headers.get("x-request-id", "none")):
            found.append(f"tells back a request id as it came: {answer.headers['x-request-id'][:60]}")
        return found

    @staticmethod
    def promised(endpoint: Endpoint, answer: Answer) -> bool:
        return answer.status in TAKEN and answer.status in endpoint.statuses

    @staticmethod
    def code_of(answer: Answer) -> str:
        try:
            return json.loads(answer.body).get("code", "")
        except (ValueError, AttributeError):
            return ""

    def of_problem(self, endpoint: Endpoint, shape: Shape, answer: Answer) -> list[str]:
        if answer.headers.get("content-type") != "application/problem+json":
            return [f"{answer.status} as {answer.headers.get('content-type')}"]
        try:
            problem = json.loads(answer.body)
        except ValueError:
            return [f"{answer.status} that is no JSON"]
        found = []
        code = problem.get("code", "")
        if missing := (MEMBERS | (set() if code in UNREAD else OF_A_REQUEST)) - set(problem):
            found.append(f"a problem without {', '.join(sorted(missing))}")
        if answer.status not in (self.codes.get(code), OF_A_LINE.get(code)) or problem.get("status") != answer.status:
            found.append(f"{answer.status} with the code {code}, documented as {self.codes.get(code)}")
        elsewhere = shape.family == "path" and answer.status in (404, 405)  # it may name another operation
        if not elsewhere and answer.status not in endpoint.statuses and code not in self.general | {"too_many_requests"}:
            found.append(f"{answer.status} {code}, which the operation does not promise")
        if answer.status in (429, 503) and "retry-after" not in answer.headers:
            found.append(f"{answer.status} without Retry-After")
        return found


def told_by_us(answer: Answer, shape: Shape) -> bytes:
    """The answer without what the caller said: `instance` is their path, a body holds what they stored."""
    body = answer.body
    if answer.status in TAKEN:
        return b""
    try:
        problem = json.loads(body)
        problem.pop("instance", None)
        body = json.dumps(problem).encode()
    except (ValueError, AttributeError):
        pass
    return body.replace(shape.sent.encode(errors="replace"), b"") if shape.sent else body
