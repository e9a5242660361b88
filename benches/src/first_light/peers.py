"""Trains a peer on LIBSVM files and prints one JSON line: seconds, reading included, and held-out scores.

    python peers.py sklearn TRAIN TEST PASSES BITS
    python peers.py vw TRAIN TEST PASSES BITS FOLDER
"""
import json
import os
import sys
import time


def scores(labels, probabilities):
    import numpy as np
    from sklearn.metrics import log_loss, roc_auc_score

    clipped = np.clip(probabilities, 1e-7, 1 - 1e-7)
    return {"log_loss": log_loss(labels, clipped), "auc": roc_auc_score(labels, probabilities)}


def sklearn(train, test, passes, bits):
    from sklearn.datasets import load_svmlight_file
    from sklearn.linear_model import SGDClassifier

    start = time.time()
    rows, labels = load_svmlight_file(train, n_features=1 << bits, zero_based=False)
    # The reader counts in 64 bits, the learner wants 32.
    rows.indices, rows.indptr = rows.indices.astype("int32"), rows.indptr.astype("int32")
    read = time.time()
    model = SGDClassifier(
        loss="log_loss", alpha=1e-7, learning_rate="constant", eta0=0.02,
        max_iter=passes, tol=None, random_state=0, average=True,
    ).fit(rows, labels)
    end = time.time()
    held_out, truth = load_svmlight_file(test, n_features=1 << bits, zero_based=False)
    return {
        "seconds": end - start, "read_seconds": read - start, "fit_seconds": end - read, "rows": len(labels),
        **scores(truth, model.predict_proba(held_out)[:, 1]),
    }


def vw(train, test, passes, bits, folder):
    import numpy as np
    from vowpalwabbit import pyvw

    # Its own text format: the same rows, written before the clock starts.
    def convert(source, target):
        labels = []
        with open(source) as rows, open(target, "w") as out:
            for row in rows:
                label, features = row.split(" ", 1)
                labels.append(int(label))
                out.write(("1" if label == "1" else "-1") + " | " + features)
        return np.array(labels)

    text, held_out = os.path.join(folder, "train.vw"), os.path.join(folder, "test.vw")
    convert(train, text)
    truth = convert(test, held_out)
    model, predictions = os.path.join(folder, "vw.model"), os.path.join(folder, "vw.predictions")
    start = time.time()
    pyvw.Workspace(
        f"--quiet --loss_function logistic -b {bits} --passes {passes} --cache_file {text}.cache -k "
        f"--holdout_off -d {text} -f {model}"
    ).finish()
    end = time.time()
    pyvw.Workspace(f"--quiet -t --link logistic -i {model} -d {held_out} -p {predictions}").finish()
    probabilities = np.array([float(line.split()[0]) for line in open(predictions)])
    return {"seconds": end - start, "rows": sum(1 for _ in open(text)), **scores(truth, probabilities)}


if __name__ == "__main__":
    peer, train, test, passes, bits = sys.argv[1:6]
    arguments = [train, test, int(passes), int(bits), *sys.argv[6:]]
    print(json.dumps({"sklearn": sklearn, "vw": vw}[peer](*arguments)))
