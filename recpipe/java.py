"""The Java that Spark will start."""

import os
import re
import shutil
import subprocess
from typing import NamedTuple

from recpipe.errors import UserError

VERSIONS = ("17", "21")


class Java(NamedTuple):
    program: str
    version: str


def find_java() -> Java:
    """The Java of JAVA_HOME, else of the PATH, as Spark looks for it.

    Raises:
        UserError: there is none, or one that Spark does not run on.
    """
    expected = f"expected Java {' or '.join(VERSIONS)}"
    remedy = "install it (Debian/Ubuntu: apt-get install openjdk-17-jre-headless) or set JAVA_HOME"
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin" if home else None)
    if program is None:
        raise UserError(f"{expected}, found no {f'{home}/bin/' if home else ''}java; {remedy}")
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or version[1] not in VERSIONS:
        found = version[1] if version else said.strip().partition("\n")[0]
        raise UserError(f"{expected}, found {found} at {program}; {remedy}")
    return Java(program, version[1])
