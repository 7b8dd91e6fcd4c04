#!/usr/bin/env python3
"""Runs the code cells of a notebook in order, in one namespace, and fails with the first that fails. Needs no Jupyter.

Usage: run-notebook.py NOTEBOOK [EXECUTED]    EXECUTED is the notebook with its outputs.
"""

import contextlib
import io
import json
import sys


def main(path, executed=None):
    with open(path) as file:
        notebook = json.load(file)
    namespace = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, 1):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile("".join(cell["source"]), f"{path}, cell {number}", "exec"), namespace)
        print(out.getvalue(), end="")
        cell["execution_count"] = number
        cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": out.getvalue().splitlines(True)}]
    if executed:
        with open(executed, "w") as file:
            json.dump(notebook, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
