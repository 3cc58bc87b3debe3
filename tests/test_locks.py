import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

from recpipe.locks import file_lock, own_folder

HOLDER = """
import sys, time
from pathlib import Path
from recpipe.locks import file_lock
lock, held, go = map(Path, sys.argv[1:])
with file_lock(lock):
    with file_lock(lock):
        pass
    held.touch()
    while not go.exists(): time.sleep(0.02)
    held.unlink()
"""


def test_another_process_waits_although_the_holder_took_and_left_it_a_second_time(tmp_path):
    lock, held, go = (tmp_path / name for name in ("a.lock", "held", "go"))
    with subprocess.Popen([sys.executable, "-c", HOLDER, *map(str, (lock, held, go))]) as holder:
        while not held.exists():
            assert holder.poll() is None
            time.sleep(0.02)
        seen = []

        def take():
            with file_lock(lock):
                seen.append(held.exists())

        waiting = Thread(target=take)
        waiting.start()
        time.sleep(0.3)
        before = list(seen)
        go.touch()
        waiting.join(30)
    assert before == []
    assert seen == [False]


def test_threads_wait_for_each_other(tmp_path):
    most, inside = [], []

    def take():
        with file_lock(tmp_path / "locks" / "a.lock"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


OWNER = """
import sys, time
from pathlib import Path
from recpipe.locks import own_folder
with own_folder(Path(sys.argv[1])) as folder:
    (folder / "rows").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_goes_when_the_next_begins_and_what_others_use_stays(tmp_path):
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        theirs = Path(other.stdout.readline().strip())
        with own_folder(tmp_path) as mine:
            assert sorted(tmp_path.glob("*/")) == sorted([theirs, mine])
        assert list(tmp_path.glob("*/*")) == [theirs / "rows"]
        other.kill()
    assert list(tmp_path.glob("*/*")) == [theirs / "rows"]
    with own_folder(tmp_path) as mine:
        assert list(tmp_path.glob("*/")) == [mine]


def test_a_folder_that_another_process_takes_away_meanwhile_is_in_no_ones_way(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone]))  # listed, and then removed by its owner
    with own_folder(tmp_path) as mine:
        assert mine.is_dir()
