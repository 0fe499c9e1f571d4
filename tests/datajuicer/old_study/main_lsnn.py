# ruff: noqa
import json
import os

from architectures import lsnn, HERE

if __name__ == "__main__":
    FLAGS = lsnn.get_flags()
    with open(os.path.join(HERE, "Resources", "calls"), "a") as calls:
        calls.write(f"{FLAGS.session_id}\n")
    log = dict(vars(FLAGS), training_accuracies=[0.5, 0.75 + FLAGS.beta_robustness / 10])
    with open(os.path.join(HERE, "Resources", f"{FLAGS.session_id}.json"), "w") as f:
        json.dump(log, f)
