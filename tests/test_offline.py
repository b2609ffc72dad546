"""`make test-offline` runs where there is no network, or not at all."""

import re
import subprocess
import sys

import pytest

from tools import offline

# What a test would do that needs the network, by number and by name.
REACH = "import socket; socket.create_connection(({!r}, 443), timeout=5)"
# Two ends of one connection, as a notebook and its kernel have.
LOOPBACK = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname(), timeout=5):
        print("reached")
"""


@pytest.fixture
def python():
    """A function that runs Python code offline; or the system forbids."""
    trial = [*offline.NAMESPACE, "true"]
    try:
        subprocess.run(trial, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this system makes no network namespace: {error}")

    def run(code):
        script = [sys.executable, offline.__file__]
        return subprocess.run(
            [*script, sys.executable, "-c", code],
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "a.invalid"])
def test_another_host_is_out_of_reach(python, host):
    done = python(REACH.format(host))
    assert done.returncode == 1
    assert re.search(
        "Network is unreachable|name resolution|Name or service",
        done.stderr,
    ), done.stderr


def test_the_loopback_works(python):
    done = python(LOOPBACK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No interface but lo, and no route")
    assert done.stdout.endswith("reached\n")


def test_how_the_command_ends_is_passed_on(python):
    assert python("raise SystemExit(7)").returncode == 7


@pytest.fixture
def no_command(monkeypatch):
    """A place where a command must not be run."""

    def run(*arguments):
        pytest.fail(f"{arguments} was run")

    monkeypatch.setattr(offline.os, "execvp", run)


def test_a_second_interface_stops_it(no_command, monkeypatch, capsys):
    both = [(1, "lo"), (2, "eth7")]
    monkeypatch.setattr(offline.socket, "if_nameindex", lambda: both)
    assert offline.main([offline.INSIDE, "true"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Nothing was run: there is still eth7")


def test_a_way_out_stops_it(no_command, monkeypatch, capsys):
    monkeypatch.setattr(offline, "OUTSIDE", [(2, "127.0.0.1")])
    monkeypatch.setattr(
        offline.socket, "if_nameindex", lambda: [(1, "lo")]
    )
    assert offline.main([offline.INSIDE, "true"]) == 1
    assert capsys.readouterr().err == (
        "Nothing was run: there is still a route to 127.0.0.1.\n"
    )


def test_a_system_without_namespaces_is_told(
    no_command, monkeypatch, capsys, tmp_path
):
    refusing = tmp_path / "unshare"
    refusing.write_text(
        "#!/bin/sh\necho 'unshare: not permitted' >&2\nexit 1"
    )
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert offline.main(["true"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Nothing was run: unshare: not permitted. This")
    assert "make a network namespace" in said

    refusing.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert offline.main(["true"]) == 1
    assert "there is no unshare" in capsys.readouterr().err


def test_without_a_command_it_says_how(no_command, capsys):
    for arguments in [], [offline.INSIDE]:
        assert offline.main(arguments) == 2
    assert capsys.readouterr().err == f"{offline.USAGE}\n" * 2
