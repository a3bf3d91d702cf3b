"""What `ray submit` runs on the head of a cluster: the command line, on that cluster.

`ray submit CLUSTER.yaml deploy/submit.py -- chaos experiments/chaos/kill_nodes.toml`: it copies
only this file.  pasidlab is installed there, or its tree is on PYTHONPATH; files are named as in
that.  `chaos` runs on the cluster that RAY_ADDRESS names, or that PASIDLAB_CLUSTER does.
"""

import os
import sys
from pathlib import Path

import experiments
from experiments.harness.cli import main

WORDS = sys.argv[1:]
if WORDS[:1] == ["chaos"] and not {"--cluster", "--address"} & set(WORDS):
    cluster = os.environ.get("PASIDLAB_CLUSTER")
    WORDS += ["--cluster", cluster] if cluster else ["--address", "auto"]
os.chdir(Path(experiments.__file__).resolve().parents[1])
main(WORDS)
