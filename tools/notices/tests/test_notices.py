"""The notices are seen to change with what the images contain, and each disagreement is seen."""

import importlib.machinery
import importlib.util
import pathlib

import pytest

FILE = pathlib.Path(__file__).resolve().parents[1] / "notices"
loader = importlib.machinery.SourceFileLoader("notices", str(FILE))
notices = importlib.util.module_from_spec(importlib.util.spec_from_loader("notices", loader))
loader.exec_module(notices)

IMAGES = [*notices.NAMES, "libc6"]
USED = set(notices.NAMES)
DEPENDENCIES = (notices.ROOT / "docs/dependencies.md").read_text()


def test_the_tree_as_it_is_agrees():
    assert notices.disagreements(IMAGES, USED, DEPENDENCIES) == []


PLANTED = {
    "libz-dev has no name": (IMAGES + ["libz-dev"], USED, DEPENDENCIES),
    "libpq-dev is in tools/notices (NAMES) but not in the images": (
        [name for name in IMAGES if name != "libpq-dev"], USED, DEPENDENCIES),
    "no row of llhttp": (IMAGES, USED, DEPENDENCIES.replace("| llhttp", "| parser")),
    "no production source includes a header of libsodium-dev": (IMAGES, USED - {"libsodium-dev"}, DEPENDENCIES),
    "include headers of libgtest-dev": (IMAGES, USED | {"libgtest-dev"}, DEPENDENCIES),
    "a row of folly": (IMAGES, USED, DEPENDENCIES + "| folly | strings | because |\n"),
}


@pytest.mark.parametrize("says", PLANTED)
def test_a_disagreement_is_told(says):
    found = notices.disagreements(*PLANTED[says])
    assert [line for line in found if says in line], found


def test_headers_are_traced_to_their_package():
    assert notices.owners({"curl/curl.h", "libpq-fe.h", "openssl/evp.h"}) == {
        "libcurl4-openssl-dev", "libpq-dev", "libssl-dev"}


def test_only_production_headers_count():
    headers = notices.headers_of_production()
    assert "boost/asio.hpp" in headers or any(header.startswith("boost/asio/") for header in headers)
    assert not any(header.startswith("gtest/") for header in headers)


def test_servers_are_read_from_the_dockerfile():
    text = """
FROM debian:trixie-slim AS toolchain
RUN xargs apt-get install -q -y --no-install-recommends
FROM installer AS redis-layer
# install-layer /layer nothing-in-a-comment
RUN --mount=type=cache,target=/var/cache/apt \\
    install-layer /layer --user redis redis-server another \\
 && true
FROM installer AS tools-layer
RUN install-layer /layer openssl
FROM installer AS registry-layer
RUN install-layer /layer --user registry docker-registry
FROM debian:trixie-slim AS redis
COPY --link --from=redis-layer /layer/ /
FROM runtime AS order-service
COPY a /a
"""
    assert notices.server_packages(text) == {"redis": ["redis-server", "another"], "tools": ["openssl"]}


def test_one_package_more_is_one_line_more():
    before, after = notices.notices(["libc6"], {}), notices.notices(["libc6", "zlib1g"], {})
    assert "zlib1g" not in before
    assert "| zlib1g | Zlib | http://zlib.net/ |" in after


def test_check_fails_when_the_file_is_old(tmp_path, monkeypatch, capsys):
    images = ["libc6"]
    monkeypatch.setattr(notices, "image_packages", lambda: images)
    monkeypatch.setattr(notices, "disagreements", lambda *_: [])
    monkeypatch.setattr(notices, "ROOT", tmp_path)
    for name in ("deploy/images/Dockerfile", "docs/dependencies.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.setattr("sys.argv", ["notices", "write"])
    assert notices.main() == 0
    monkeypatch.setattr("sys.argv", ["notices", "check"])
    assert notices.main() == 0
    images.append("zlib1g")
    assert notices.main() == 1
    assert "out of date" in capsys.readouterr().out
