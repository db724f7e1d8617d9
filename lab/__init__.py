"""The decision lab: matched experiments between prompting, retrieval and fine-tuning.

One command shows it all: ``lab decide datasets/triage --methods zero_shot,few_shot,rag,lora``.
"""

import logging
import os

__version__ = "0.1.0"

# Threads of torch that wait for each other by spinning hold their cores: beside one other busy process two threads took
# five times as long as one. Read when torch is first loaded; whoever set a policy keeps it.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# bitsandbytes, which peft loads wherever it is installed, warns of a kernel that it would fetch from the Hub.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
