"""What `make help` says of targets that no test runs."""

import re
import subprocess

from recpipe.settings import CHECKOUT

MAKEFILE = (CHECKOUT / "Makefile").read_text()


def test_clean_removes_every_environment_and_no_kept_run():
    environments = set(re.findall(r"^(\.\S+?)(?:/%)?/\.ready:", MAKEFILE, re.M)) - {".venvs/spark/jars"}
    assert environments == {".venvs", ".bench/agreement", ".bench/peer/venv"}
    make = ["make", "--no-print-directory", "-n", "clean"]
    command = subprocess.run(make, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    assert command.startswith("rm -rf ")
    assert set(command.split()[2:]) == environments
