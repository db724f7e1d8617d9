"""The byte-level BPE tokenizer of the bundled models: any user's text can be read, digits stand alone."""

from __future__ import annotations

import random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from lab.world.corpus import MIX, DocumentSource, english_paragraphs

SPECIAL = ("<|pad|>", "<|begin|>", "<|end|>")


def train_tokenizer(
    english: list[str], vocabulary: int, window: int, seed: int = 1, documents: int = 30_000
) -> PreTrainedTokenizerFast:
    """A tokenizer trained on a sample of the corpus's own mix.

    Names are left to be spelt from pieces, so half of the text is real English where there is any.
    """
    rng = random.Random(f"tokenizer {seed}")
    source = DocumentSource(rng, english, english_paragraphs(english))
    kinds = [k for k in MIX if k != "english_copying"]
    shares = [MIX[k] * (0.5 if k == "english" else 1.0) for k in kinds]

    def texts():
        for _ in range(documents):
            yield "".join(text for text, _ in source.draw(rng.choices(kinds, shares)[0]))

    tokenizer = Tokenizer(models.BPE())
    # Line ends stand alone, so that a prompt encoded whole has the tokens of its parts encoded one by one.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n+"), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[0],
        bos_token=SPECIAL[1],
        eos_token=SPECIAL[2],
        model_max_length=window,
        clean_up_tokenization_spaces=False,
    )
