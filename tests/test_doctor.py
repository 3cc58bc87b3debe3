import pytest

from recpipe import doctor
from recpipe.settings import Settings


@pytest.mark.parametrize("package", ["petastorm", "pyarrow"])
def test_f02_a_package_that_is_missing_is_named_with_what_installs_it(tmp_path, monkeypatch, package):
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    for name in ("petastorm", "pyarrow", "torch", "mlflow"):
        if name != package:
            (site / f"{name}-1.2.3.dist-info").mkdir(parents=True)
    whole = doctor.environment_folder
    monkeypatch.setattr(doctor, "environment_folder", lambda name: tmp_path if name == "train" else whole(name))

    checks = {check.name: check for check in doctor.examine(Settings(home=tmp_path))}

    train = checks["environment train"]
    assert (train.good, train.found, train.mend) == (False, f"without {package}", "make clean setup")
    assert checks["environment spark"].good
