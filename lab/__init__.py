"""The decision lab: matched experiments between prompting, retrieval and fine-tuning.

One command shows it all: ``lab decide datasets/triage --methods zero_shot,few_shot,rag,lora``.
"""

__version__ = "0.1.0"
