"""The two-tower model: towers, losses, batches, training loop, checkpoints, and the decisions about them.

`anchors` and `examples` need no torch, so that a night with nothing to train does not wait for its import.
"""

import os

# Both are read when torch and mlflow are first imported, which happens below this package only.
# Threads that wait for each other must sleep and not spin: beside a busy scheduler, spinning was seen to cost ten times
# the training itself.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing leaves the machine
