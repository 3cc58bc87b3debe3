import pytest

from recpipe.errors import UserError
from recpipe.java import find_java


def java(tmp_path, monkeypatch, said):
    """A java that says a version, at JAVA_HOME."""
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))


def test_a_missing_java_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UserError, match=f"expected Java 17 or 21, found no {tmp_path}/bin/java; install it"):
        find_java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="expected Java 17 or 21, found no java; install it"):
        find_java()


@pytest.mark.parametrize(
    ("said", "found"), [('openjdk version "11.0.2"', "found 11 at"), ("no libjvm.so", "found no libjvm.so at")]
)
def test_another_java_is_one_line(tmp_path, monkeypatch, said, found):
    java(tmp_path, monkeypatch, said)
    with pytest.raises(UserError, match=found):
        find_java()


def test_java_17_will_do(tmp_path, monkeypatch):
    java(tmp_path, monkeypatch, 'openjdk version "17.0.15" 2025-04-15')
    assert find_java() == (str(tmp_path / "bin" / "java"), "17")
