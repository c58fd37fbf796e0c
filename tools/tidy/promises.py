"""What sources and documents say must be the same."""

import re

import named_literals as finder
import yaml

from tidy.tree import Finding, Tree, is_test, line_of, service_of

PROBLEMS = "contracts/http/problems.d/"
METRICS = "contracts/telemetry/metrics.yaml"
CODES = [
    re.compile(r'\brefuse\(\s*ErrorKind::\w+\s*,\s*"(\w+)"'),
    re.compile(r'\.kind\s*=\s*ErrorKind::\w+\s*,\s*\.code\s*=\s*"(\w+)"'),
    re.compile(r'\bid_param<\w+>\(\s*\w+\s*,\s*"\w+"\s*,\s*"(\w+)"'),
]
METRIC = re.compile(r'\b(counter|gauge|histogram)\(\s*"([a-z_0-9]+)"')
LOG_FIELDS = "contracts/telemetry/log-fields.yaml"
SPANS = "contracts/telemetry/spans.yaml"
LOG_CALL = re.compile(r'(?:\.|->)(?:info|warn|error)\(\s*(?:[\w.>\-]+\s*,\s*)?"[a-z_]+"\s*,(.*?);', re.DOTALL)
LOG_FIELD = re.compile(r'\{\s*"([a-z_]+)"\s*,')
SPAN_ATTRIBUTE = re.compile(r'(?:\.|->)set\(\s*"([a-z_.]+)"\s*,')
SETTING = re.compile(r'"(STOA_[A-Z0-9_]+)"')
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
CODE_SPAN = re.compile(r"`[^`\n]*`")


def production(tree: Tree) -> list[str]:
    return [file for file in tree.cpp() if file.startswith(("services/", "servicekit/")) and not is_test(file)]


def documented_codes(tree: Tree):
    """code → first place; findings for what is wrong with the list itself."""
    places, findings = {}, []
    for file in tree.files:
        if not (file.startswith(PROBLEMS) and file.endswith(".yaml")):
            continue
        for entry in yaml.safe_load(tree.text(file)) or []:
            code = entry.get("code", "")
            missing = [key for key in ("code", "status", "title", "meaning") if not entry.get(key)]
            if missing:
                findings.append(Finding(file, 1, "error-code", f"{code or entry}: {', '.join(missing)} missing"))
            if code in places:
                findings.append(Finding(file, 1, "error-code", f"{code} stands already in {places[code]}"))
            places.setdefault(code, file)
    return places, findings


def error_codes(tree: Tree):
    documented, findings = documented_codes(tree)
    yield from findings
    for file in production(tree):
        text = tree.code_with_literals(file)
        for pattern in CODES:
            for match in pattern.finditer(text):
                if match[1] not in documented:
                    line = line_of(text, match.start())
                    yield Finding(file, line, "error-code", f"{match[1]} has no entry in {PROBLEMS}")


def metric_names(tree: Tree):
    known = yaml.safe_load(tree.text(METRICS)) if METRICS in tree.files else {}
    for file in production(tree):
        text = tree.code_with_literals(file)
        for match in METRIC.finditer(text):
            place = Finding(file, line_of(text, match.start()), "metric-name", "")
            entry = known.get(match[2])
            if entry is None:
                yield Finding(place.file, place.line, place.rule, f"{match[2]} is not in {METRICS}")
            elif entry["type"] != match[1]:
                yield Finding(place.file, place.line, place.rule, f"{match[2]} is a {entry['type']} in {METRICS}")


def log_fields(tree: Tree):
    known = yaml.safe_load(tree.text(LOG_FIELDS)) if LOG_FIELDS in tree.files else {}
    for file in production(tree):
        text = tree.code_with_literals(file)
        for call in LOG_CALL.finditer(text):
            for match in LOG_FIELD.finditer(call[1]):
                if match[1] not in known:
                    line = line_of(text, call.start(1) + match.start())
                    yield Finding(file, line, "log-field", f"{match[1]} is not in {LOG_FIELDS}")


def span_attributes(tree: Tree):
    spans = yaml.safe_load(tree.text(SPANS)) if SPANS in tree.files else {}
    known = {name for span in spans.values() for name in span.get("attributes", [])}
    for file in production(tree):
        text = tree.code_with_literals(file)
        for match in SPAN_ATTRIBUTE.finditer(text):
            if match[1] not in known:
                yield Finding(file, line_of(text, match.start()), "span-attribute", f"{match[1]} is not in {SPANS}")


def settings(tree: Tree):
    shared = "servicekit/runtime/README.md"
    for file in production(tree):
        service = service_of(file)
        if service is None:
            continue
        readmes = [f"services/{service}/README.md", shared]
        documents = "\n".join(tree.text(readme) for readme in readmes if readme in tree.files)
        text = tree.code_with_literals(file)
        for match in SETTING.finditer(text):
            if not re.search(rf"\b{match[1]}", documents):
                line = line_of(text, match.start())
                yield Finding(file, line, "setting", f"{match[1]} is not in {readmes[0]}")


def named_literals(tree: Tree):
    for kind in (finder.CRASH_POINTS, finder.MUTANTS):
        _, problems = finder.find(kind, ((file, tree.code_with_literals(file)) for file in production(tree)))
        for problem in problems:
            yield Finding(problem.file, problem.line, kind.rule, problem.what)


def heading_anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+\s+(.*?)\s*$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-") for title in titles}


def markdown_links(tree: Tree):
    for file in tree.having(".md"):
        blank = lambda match: re.sub(r"[^\n]", " ", match[0])  # noqa: E731
        text = CODE_SPAN.sub(blank, FENCE.sub(blank, tree.text(file)))
        for match in LINK.finditer(text):
            target, _, anchor = match[1].partition("#")
            if re.match(r"[a-z]+:", match[1]):
                continue
            path = (tree.root / file).parent / target if target else tree.root / file
            line = line_of(text, match.start())
            if not path.exists():
                yield Finding(file, line, "markdown-link", f"{match[1]} leads nowhere")
            elif anchor and path.suffix == ".md" and anchor not in heading_anchors(path.read_text()):
                yield Finding(file, line, "markdown-link", f"{match[1]}: no such heading")


RULES = [error_codes, metric_names, log_fields, span_attributes, settings, named_literals, markdown_links]
