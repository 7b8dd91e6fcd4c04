"""PyOD's half of `make bench-detectors`: fits each detector that it is told to, and says how long that took.

Reads lines `name rows columns file`, where the file holds the rows as f64. Writes the scores of the rows beside it and answers
`seconds to fit, seconds to score`, or `-` with a reason.
"""
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")
real_stdout = os.dup(1)
os.dup2(2, 1)  # PyOD prints.

import numpy as np


def detectors():
    from pyod.models.abod import ABOD
    from pyod.models.cblof import CBLOF
    from pyod.models.cof import COF
    from pyod.models.copod import COPOD
    from pyod.models.ecod import ECOD
    from pyod.models.feature_bagging import FeatureBagging
    from pyod.models.gmm import GMM
    from pyod.models.hbos import HBOS
    from pyod.models.iforest import IForest
    from pyod.models.inne import INNE
    from pyod.models.kde import KDE
    from pyod.models.knn import KNN
    from pyod.models.loci import LOCI
    from pyod.models.loda import LODA
    from pyod.models.lof import LOF
    from pyod.models.lscp import LSCP
    from pyod.models.mad import MAD
    from pyod.models.mcd import MCD
    from pyod.models.ocsvm import OCSVM
    from pyod.models.pca import PCA
    from pyod.models.sod import SOD
    from pyod.models.sos import SOS

    return {
        "knn": KNN,
        "lof": LOF,
        "cof": COF,
        "loci": LOCI,
        "abod": ABOD,
        "cblof": lambda: CBLOF(random_state=0),
        "iforest": lambda: IForest(random_state=0),
        "inne": lambda: INNE(random_state=0),
        "hbos": HBOS,
        "loda": lambda: LODA(random_state=0),
        "ecod": ECOD,
        "copod": COPOD,
        "mad": MAD,
        "pca": PCA,
        "mcd": lambda: MCD(random_state=0),
        "gmm": GMM,
        "kde": KDE,
        "ocsvm": OCSVM,
        "sos": SOS,
        "sod": SOD,
        "feature-bagging": lambda: FeatureBagging(random_state=0),
        "lscp": lambda: LSCP([LOF(n_neighbors=k) for k in (15, 20, 25, 35)], random_state=0),
    }


def main():
    known = detectors()
    # What is compiled on first use shall not be timed.
    few = np.random.default_rng(0).normal(size=(64, 4))
    for name, make in known.items():
        rows = few[:, :1] if name == "mad" else few
        make().fit(rows).decision_function(rows)
    with os.fdopen(real_stdout, "w", buffering=1) as answers:
        answers.write("ready\n")
        for line in sys.stdin:
            name, rows, columns, path = line.split()
            x = np.fromfile(path).reshape(int(rows), int(columns))
            try:
                start = time.process_time()
                fitted = known[name]().fit(x)
                middle = time.process_time()
                scores = fitted.decision_function(x)
                end = time.process_time()
                np.asarray(scores, dtype=np.float64).ravel().tofile(path + ".scores")
                np.asarray(fitted.decision_scores_, dtype=np.float64).ravel().tofile(path + ".fitted")
                answers.write(f"{middle - start} {end - middle}\n")
            except Exception as error:  # one that fails is a line of the table
                answers.write(f"- {type(error).__name__}: {error}\n".replace("\n", " ").strip() + "\n")


main()
